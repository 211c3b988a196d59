"""What does batching gain, and what does it cost a lone request? oipserver, MLServer, mosec, Triton Python backend."""

from __future__ import annotations

from dataclasses import dataclass

from harness.bench import Bench
from harness.cases import mlp_case
from harness.load import Load, run_session_loop
from harness.measure import Series, Target, run_rounds
from harness.process import ServerProcess
from harness.servers import Endpoint, ModelSpec, mlserver, mosec, oipserver, triton
from harness.table import Goal, goals_table, markdown

OURS, MLSERVER, MLSERVER_DEFAULT, MOSEC, TRITON = (
    "oipserver",
    "MLServer w0",
    "MLServer default",
    "mosec",
    "Triton python backend",
)
BUSY = 32
LOADS = (Load(1), Load(BUSY), Load(64))


@dataclass(frozen=True, slots=True)
class Setting:
    """One way to configure batching; no rows: off."""

    rows: int = 0
    window_ms: float = 0.0

    @property
    def label(self) -> str:
        """How tables name it."""
        return f"{self.rows} rows, {self.window_ms:g} ms" if self.rows else "off"

    @property
    def model(self) -> str:
        """The name of the model that has this setting."""
        return f"mlp-{self.rows}-{self.window_ms:g}".replace(".", "_")


OFF = Setting()
#: What each server is tried with; the best of each is found by requests per second at 32 connections.
SETTINGS: dict[str, tuple[Setting, ...]] = {
    OURS: (OFF, Setting(64, 0), Setting(64, 2), Setting(32, 2)),
    MLSERVER: (OFF, Setting(32, 2), Setting(64, 2), Setting(32, 0.5), Setting(32, 5)),
    MLSERVER_DEFAULT: (OFF, Setting(32, 2), Setting(32, 5)),
    MOSEC: (OFF, Setting(64, 2), Setting(32, 2), Setting(64, 1), Setting(16, 1)),
    TRITON: (OFF, Setting(64, 2), Setting(32, 2), Setting(64, 0), Setting(16, 0)),
}
#: With ``--quick``: the best of those, and the window every peer is to be measured with.
QUICK: dict[str, tuple[Setting, ...]] = {
    OURS: SETTINGS[OURS],
    MLSERVER: (OFF, Setting(32, 2)),
    MOSEC: (OFF, Setting(64, 2), Setting(32, 2)),
    TRITON: (OFF, Setting(32, 2), Setting(64, 0)),
}


def endpoints(bench: Bench, server: str, settings: tuple[Setting, ...]) -> dict[Setting, Endpoint]:
    """The server, or for mosec servers, that offers the model with each of ``settings``."""
    file = bench.files["mlp"]
    specs = [ModelSpec(one.model, file, max_batch_size=one.rows, max_batch_ms=one.window_ms) for one in settings]
    folder = bench.folder / server.replace(" ", "-")
    if server == MOSEC:
        folder.mkdir()
        return {
            one: mosec(folder / spec.name, spec, bench.environments) for one, spec in zip(settings, specs, strict=True)
        }
    if server == OURS:
        endpoint = oipserver(folder, specs)
    elif server == TRITON:
        endpoint = triton(folder, specs, bench.environments)
    else:
        endpoint = mlserver(folder, specs, bench.environments, workers=0 if server == MLSERVER else None)
    return dict.fromkeys(settings, endpoint)


def start(bench: Bench) -> dict[str, dict[Setting, Target]]:
    """Start every server; returns what answers each setting of each."""
    found: dict[str, dict[Setting, Target]] = {}
    for server, settings in (QUICK if bench.quick else SETTINGS).items():
        started: dict[int, ServerProcess] = {}
        for setting, endpoint in endpoints(bench, server, settings).items() if bench.wanted(server) else ():
            if endpoint.http_port not in started:
                started[endpoint.http_port] = bench.start(f"{server} {len(started)}", endpoint)
            case = mlp_case(str(bench.files["mlp"]), setting.model)
            target = Target(started[endpoint.http_port], endpoint, case, case.json())
            bench.warm(target)
            found.setdefault(server, {})[setting] = target
    return found


def under_load(bench: Bench, servers: dict[str, dict[Setting, Target]]) -> Series:
    """Every setting of every server under every load; keys are (server, setting, connections)."""
    return run_rounds(
        [
            ((server, setting, load.connections), bench.job(target, load))
            for server, targets in servers.items()
            for setting, target in targets.items()
            for load in LOADS
        ],
        bench.rounds,
    )


def lone(bench: Bench, targets: dict[Setting, Target]) -> Series:
    """One connection to each setting in turn, in more rounds than the rest: 5 % is to be seen; keys are settings."""
    return run_rounds([(one, bench.job(target, Load(1))) for one, target in targets.items()], 3 * bench.rounds)


def best(series: Series, server: str) -> Setting | None:
    """The batching setting of ``server`` with most requests per second at 32 connections."""
    measured = [one for one in SETTINGS[server] if one.rows and (server, one, BUSY) in series]
    return max(measured, key=lambda one: series.spread((server, one, BUSY), "rps").median, default=None)


def table(series: Series) -> str:
    """Everything measured."""
    rows = []
    for server, settings in SETTINGS.items():
        for setting in settings:
            mark = " (best)" if setting == best(series, server) and len(settings) > 2 else ""
            for load in LOADS:
                key = (server, setting, load.connections)
                if key in series:
                    cells = [series.spread(key, field).text() for field in ("rps", "cpu_us", "p50_us", "p99_us")]
                    gain = series.ratio(key, (server, OFF, load.connections), "rps").text(1) if setting.rows else ""
                    rows.append([server, setting.label + mark, str(load.connections), *cells, gain])
    head = ["server", "batching", "connections", "requests/s", "CPU us/request", "p50 us", "p99 us", "x of off"]
    return markdown("MLP 512-1024-1024-10, one row a request, V2 JSON", head, rows)


def goals(series: Series, alone: Series) -> list[Goal]:
    """What was to be reached, and what was."""
    found: list[Goal] = []
    mine = best(series, OURS)
    if mine is None:
        return found
    ours = (OURS, mine, BUSY)
    for server, limit in ((MLSERVER, 6.0), (MLSERVER_DEFAULT, 6.0), (MOSEC, 1.2), (TRITON, 1.2)):
        winner = best(series, server)
        for setting in SETTINGS[server]:
            if (setting != winner and setting.window_ms != 2) or (server, setting, BUSY) not in series:
                continue
            theirs = (server, setting, BUSY)
            ratio, cpu = series.ratio(ours, theirs, "rps"), series.ratio(theirs, ours, "cpu_us").median
            why = f"{setting.label}, its best" if setting == winner else setting.label
            text = f"32 connections: requests/s over {server} ({why}); {cpu:.1f} x less CPU"
            found.append(Goal(text, limit, ratio.median, ratio.text(1)))
    for on in SETTINGS[OURS][1:]:
        if on not in alone or OFF not in alone:
            continue
        ratio = alone.ratio(on, OFF, "p50_us")
        both = " / ".join(alone.spread(one, "p50_us").text() for one in (on, OFF))
        text = f"lone request: p50 with batching on ({on.label}) / off ({both} us)"
        found.append(Goal(text, 1.05, ratio.median, ratio.text(3), at_most=True))
    return found


def main() -> None:
    """Measure everything, print the tables."""
    with Bench(__doc__ or "", rounds=5, seconds=2, longest=3000) as bench:
        alone = {
            rows: run_session_loop(bench.files["mlp"], 1, ["x", f"{rows}x512"], bench.server_cores) for rows in (1, 32)
        }
        servers = start(bench)
        series = under_load(bench, servers)
        alone_on_it = lone(bench, servers.get(OURS, {}))
        print(f"## Batching\n\n{bench.conditions([series, alone_on_it])}\n")
        print(f"onnxruntime alone: {alone[1]:.0f} us CPU for one row, {alone[32]:.0f} us for 32 rows together.\n")
        print(table(series))
        print(goals_table(goals(series, alone_on_it)))


if __name__ == "__main__":
    main()
