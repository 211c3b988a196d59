"""What does a small request cost, and how fast do big tensors move? onnxruntime alone, oipserver, MLServer 1.7.1."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from harness.bench import Bench
from harness.cases import Case, Payload, identity_case, tiny_case
from harness.load import Load, run_session_loop, run_transfer
from harness.measure import Series, Spread, Target, progress, run_rounds
from harness.process import ServerProcess
from harness.servers import Endpoint, ModelSpec, mlserver, oipserver
from harness.table import Goal, goals_table, markdown

OURS, IN_PROCESS, DEFAULT = "oipserver", "MLServer w0", "MLServer default"
TINY_JSON, WIDE_JSON = "REST JSON, 2 x 16 floats", "REST JSON, 512 floats"
BINARY, GRPC, GRPC_RAW = "REST binary, 2 x 16 floats", "gRPC contents, 2 x 16 floats", "gRPC raw, 2 x 16 floats"
ONE, MANY, STREAMS = Load(1), Load(32), Load(1, 32)
BUSY = MANY.label

Servers = dict[str, tuple[ServerProcess, Endpoint]]
Transfers = dict[tuple[str, str, int, int], list[dict[str, float]] | str]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of small request, and the loads it is measured under."""

    case: Case
    payload: Payload
    loads: tuple[Load, ...] = (ONE, MANY)
    mlserver_can: bool = True


def kinds() -> dict[str, Kind]:
    """The kinds of small requests that are measured."""
    tiny, wide = tiny_case(), identity_case(512)
    return {
        TINY_JSON: Kind(tiny, tiny.json()),
        WIDE_JSON: Kind(wide, wide.json()),
        BINARY: Kind(tiny, tiny.binary(), mlserver_can=False),
        GRPC: Kind(tiny, tiny.grpc(raw=False)),
        GRPC_RAW: Kind(tiny, tiny.grpc(raw=True), (ONE, MANY, STREAMS)),
    }


def small_requests(bench: Bench, servers: Servers) -> Series:
    """Every kind of small request on every server; keys are (kind, server, load)."""
    jobs = []
    for label, kind in kinds().items():
        for name, (process, endpoint) in servers.items():
            if name != OURS and not kind.mlserver_can:
                continue
            target = Target(process, endpoint, kind.case, kind.payload)
            bench.warm(target)
            loads = kind.loads if name == OURS or not bench.quick else (MANY,)
            jobs += [((label, name, load.label), bench.job(target, load)) for load in loads]
    return run_rounds(jobs, bench.rounds)


def big_tensors(bench: Bench, servers: Servers) -> Transfers:
    """Megabytes a second there and back; keys are (server, wire, megabytes, connections)."""
    found: Transfers = {}
    connections = (1,) if bench.quick else (1, 4)
    plan = [(OURS, wire, size, count) for wire in ("rest", "grpc") for size in (1, 10, 64) for count in connections]
    plan += [(IN_PROCESS, "grpc", size, 1) for size in ((1, 10) if bench.quick else (1, 10, 64))]
    for _ in range(min(bench.rounds, 3)):
        for key in plan:
            server, wire, megabytes, count = key
            if server not in servers or isinstance(found.get(key), str):
                continue
            endpoint = servers[server][1]
            port = endpoint.http_port if wire == "rest" else endpoint.grpc_port
            floats = megabytes * 1_000_000 // 4
            progress(f"moving tensors: {key}")
            try:
                moved = run_transfer(port, "identity", wire, floats, count, bench.seconds, bench.load_cores)
                found.setdefault(key, []).append(moved)  # type: ignore[union-attr]
            except (RuntimeError, TimeoutError) as error:
                progress(f"{key}: {error}")
                found[key] = "fails"
    return found


def endpoint_of(bench: Bench, server: str, folder: Path, specs: list[ModelSpec]) -> Endpoint:
    """``server`` with the models of ``specs``."""
    if server == OURS:
        return oipserver(folder, specs)
    return mlserver(folder, specs, bench.environments, workers=0 if server == IN_PROCESS else None)


def idle(bench: Bench) -> dict[str, dict[str, list[float]]]:
    """Seconds to ready, and resident megabytes of the server process and its tree, with one small model."""
    found: dict[str, dict[str, list[float]]] = {}
    spec = [ModelSpec("tiny", bench.files["tiny"])]
    for number in range(min(bench.rounds, 3)):
        for name in (OURS, IN_PROCESS, DEFAULT):
            if not bench.wanted(name):
                continue
            endpoint = endpoint_of(bench, name, bench.folder / f"idle-{name}-{number}", spec)
            process = bench.start(f"idle {name}", endpoint)
            alone, whole = process.resident_mb()
            process.stop()
            values = found.setdefault(name, {"ready": [], "alone": [], "whole": []})
            for key, value in (("ready", process.seconds_to_ready), ("alone", alone), ("whole", whole)):
                values[key].append(value)
    return found


def small_tables(series: Series, alone: dict[str, float]) -> str:
    """A table for each kind of small request."""
    parts = []
    for label, kind in kinds().items():
        rows = [["onnxruntime alone", "1", f"{alone[kind.case.model]:.1f}", "", "", "", ""]]
        for name in (OURS, IN_PROCESS, DEFAULT):
            for load in kind.loads:
                key = (label, name, load.label)
                if key not in series:
                    continue
                cells = [series.spread(key, field).text() for field in ("cpu_us", "rps", "p50_us", "p99_us")]
                ours = (label, OURS, load.label)
                ratio = "" if name == OURS or ours not in series else series.ratio(key, ours, "cpu_us").text(1)
                rows.append([name, load.label, *cells, ratio])
        head = ["server", "in flight", "CPU us/request", "requests/s", "p50 us", "p99 us", "CPU, x of oipserver"]
        parts.append(markdown(label, head, rows))
    return "\n".join(parts)


def transfer_table(transfers: Transfers) -> str:
    """Megabytes a second of big tensors."""
    rows = []
    for (name, wire, megabytes, connections), found in transfers.items():
        row = [name, "REST binary" if wire == "rest" else "gRPC raw", str(megabytes), str(connections)]
        if isinstance(found, str):
            rows.append([*row, found, "", "", ""])
            continue
        cells = [median(found, key) for key in ("mb_s", "in_mb_s", "out_mb_s")] if wire == "rest" else []
        cells = cells or [median(found, "mb_s"), "", ""]
        rows.append([*row, *cells, median(found, "p50_ms", 1)])
    head = ["server", "wire", "MB", "connections", "MB/s there and back", "MB/s in", "MB/s out", "p50 ms"]
    return markdown("Big tensors: FP32, sent and returned", head, rows)


def median(found: list[dict[str, float]], key: str, digits: int = 0) -> str:
    """``median [min-max]`` of one figure over the rounds."""
    return Spread([each[key] for each in found]).text(digits)


def goals(series: Series, transfers: Transfers, idle_found: dict[str, dict[str, list[float]]]) -> list[Goal]:
    """What was to be reached, and what was."""
    found = []
    for text, limit, (peer_kind, peer), ours_kind in (
        ("tiny JSON: times less CPU than MLServer w0", 6, (TINY_JSON, IN_PROCESS), TINY_JSON),
        ("tiny JSON: times less CPU than MLServer's default", 18, (TINY_JSON, DEFAULT), TINY_JSON),
        ("binary: times less CPU than MLServer w0 in JSON", 7, (TINY_JSON, IN_PROCESS), BINARY),
        ("512-float JSON: times less CPU than MLServer w0", 5, (WIDE_JSON, IN_PROCESS), WIDE_JSON),
        ("gRPC raw: times less CPU than MLServer w0", 3, (GRPC_RAW, IN_PROCESS), GRPC_RAW),
    ):
        above, below = (peer_kind, peer, BUSY), (ours_kind, OURS, BUSY)
        if above in series and below in series:
            ratio = series.ratio(above, below, "cpu_us")
            found.append(Goal(text, limit, ratio.median, ratio.text(1)))
    moved = transfers.get((OURS, "rest", 64, 1))
    if isinstance(moved, list):
        rate = Spread([each["mb_s"] for each in moved])
        text = "64 MB binary there and back, one connection"
        found.append(Goal(text, 400, rate.median, rate.text(), unit="MB/s each way"))
    if ours := idle_found.get(OURS):
        ready, memory = Spread(ours["ready"]), Spread(ours["alone"])
        text = "idle memory with one small model"
        found.append(Goal(text, 120, memory.median, memory.text(), at_most=True, unit="MB"))
        found.append(Goal("time to ready", 1.5, ready.median, ready.text(2), at_most=True, unit="s"))
    return found


def main() -> None:
    """Measure everything, print the tables."""
    with Bench(__doc__ or "", rounds=5, seconds=2, longest=2400) as bench:
        shapes = {"tiny": ["a", "1x16", "b", "1x16"], "identity": ["x", "512"]}
        alone = {
            model: run_session_loop(bench.files[model], 1, inputs, bench.server_cores)
            for model, inputs in shapes.items()
        }
        idle_found = idle(bench)
        specs = [ModelSpec(name, bench.files[name]) for name in shapes]
        servers = {}
        for name in (OURS, IN_PROCESS, DEFAULT):
            if bench.wanted(name):
                endpoint = endpoint_of(bench, name, bench.folder / name, specs)
                servers[name] = (bench.start(name, endpoint), endpoint)
        series = small_requests(bench, servers)
        transfers = big_tensors(bench, servers)
        idle_rows = [
            [name, Spread(v["ready"]).text(2), Spread(v["alone"]).text(), Spread(v["whole"]).text()]
            for name, v in idle_found.items()
        ]
        idle_head = ["server", "seconds to ready", "MB of the server process", "MB of all its processes"]
        print(f"## Hot path\n\n{bench.conditions([series])}\n")
        print(small_tables(series, alone))
        print(transfer_table(transfers))
        print(markdown("Idle, one small model", idle_head, idle_rows))
        print(goals_table(goals(series, transfers, idle_found)))


if __name__ == "__main__":
    main()
