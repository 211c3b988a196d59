"""What do worker processes give a Python model, and what do they cost? oipserver, MLServer 1.7.1 and mosec."""

from __future__ import annotations

import numpy as np
from harness.bench import Bench
from harness.cases import Case
from harness.load import Load, run_executor_trips, run_transfer
from harness.measure import Series, Spread, Target, progress, run_rounds
from harness.process import ServerProcess
from harness.servers import Endpoint, ModelSpec, mlserver, mosec, oipserver
from harness.table import Goal, goals_table, markdown

OURS, MLSERVER, MOSEC = "oipserver", "MLServer", "mosec"
BUSY, ECHO = ModelSpec("busy", kind="Busy"), ModelSpec("echo", kind="Echo")
BUSY_LOAD = Load(16)
SMALL_LOADS = (Load(1), Load(32))
SIZES = {"64 B": 16, "64 KB": 16_384, "1 MB": 262_144, "16 MB": 4_194_304}

Trips = dict[tuple[str, str], list[dict[str, float]]]


def small_case(model: str) -> Case:
    """One row of 16 floats, which the model returns."""
    x = np.linspace(0, 1, 16, dtype=np.float32).reshape(1, -1)
    return Case(model, {"x": x}, {"y": x})


def endpoint_of(bench: Bench, server: str, model: ModelSpec, workers: int) -> Endpoint:
    """``server`` with one Python model and so many workers."""
    folder = bench.folder / f"{server}-{model.name}-{workers}"
    if server == OURS:
        return oipserver(folder, [model], workers=workers)
    if server == MLSERVER:
        return mlserver(folder, [model], bench.environments, workers=workers)
    return mosec(folder, model, bench.environments, workers=workers)


def two_workers(bench: Bench) -> Series:
    """Requests per second of a model that holds the interpreter lock; keys are (server, workers). Nothing is pinned."""
    jobs = []
    for server in (OURS, MLSERVER, MOSEC):
        for workers in (1, 2) if bench.wanted(server) else ():
            endpoint = endpoint_of(bench, server, BUSY, workers)
            process = bench.start(f"{server} busy {workers}", endpoint, bench.all_cores)
            case = small_case("busy")
            target = Target(process, endpoint, case, case.json())
            bench.warm(target)
            jobs.append(((server, workers), bench.job(target, BUSY_LOAD, bench.all_cores)))
    return run_rounds(jobs, bench.rounds)


def small_requests(bench: Bench) -> tuple[Series, dict[int, tuple[ServerProcess, Endpoint]]]:
    """CPU of one small request, in-process and through a worker; keys are (server, workers, connections)."""
    jobs, ours = [], {}
    for server in (OURS, MLSERVER):
        for workers in (0, 1) if bench.wanted(server) else ():
            endpoint = endpoint_of(bench, server, ECHO, workers)
            process = bench.start(f"{server} echo {workers}", endpoint)
            case = small_case("echo")
            target = Target(process, endpoint, case, case.json())
            bench.warm(target)
            jobs += [((server, workers, load.connections), bench.job(target, load)) for load in SMALL_LOADS]
            if server == OURS:
                ours[workers] = (process, endpoint)
    return run_rounds(jobs, bench.rounds), ours


def tensors(bench: Bench, servers: dict[int, tuple[ServerProcess, Endpoint]]) -> Trips:
    """Round trips of one connection over REST binary; keys are (size, where the model runs)."""
    found: Trips = {}
    for _ in range(min(3, bench.rounds)):
        for size, floats in SIZES.items():
            for workers, (_, endpoint) in servers.items():
                key = (size, "in a worker" if workers else "in the server")
                progress(f"moving tensors: {key}")
                trips = run_transfer(endpoint.http_port, "echo", "rest", floats, 1, bench.seconds, bench.load_cores)
                found.setdefault(key, []).append(trips)
    return found


def without_wire(bench: Bench) -> dict[str, list[float]]:
    """By size, milliseconds of a round trip; by side (``here``, ``worker``), CPU microseconds of a small request."""
    found: dict[str, list[float]] = {}
    for _ in range(bench.rounds if bench.wanted(OURS) else 0):
        progress("the executor alone")
        values = run_executor_trips(list(SIZES.values()), bench.seconds / 2, bench.all_cores)
        for name, value in zip([*SIZES, "here", "worker"], values, strict=True):
            found.setdefault(name, []).append(value)
    return found


def workers_table(series: Series) -> str:
    """Requests per second at one and two workers."""
    rows = []
    for server in (OURS, MLSERVER, MOSEC):
        for workers in (1, 2):
            if (server, workers) in series:
                cells = [series.spread((server, workers), field).text() for field in ("rps", "cpu_us", "p50_us")]
                gain = series.ratio((server, 2), (server, 1), "rps").text(2) if workers == 2 else ""
                rows.append([server, str(workers), *cells, gain])
    head = ["server", "workers", "requests/s", "CPU us/request", "p50 us", "x of one worker"]
    title = f"A model that holds the interpreter lock for 2 ms, {BUSY_LOAD.connections} connections, nothing pinned"
    return markdown(title, head, rows)


def cost_table(series: Series) -> str:
    """What the way to a worker costs on each side."""
    rows = []
    for server in (OURS, MLSERVER):
        for load in SMALL_LOADS:
            for workers in (0, 1):
                key = (server, workers, load.connections)
                if key in series:
                    where = "in a worker" if workers else "in the server"
                    own, whole = series.spread(key, "root_cpu_us"), series.spread(key, "cpu_us")
                    sides = [spread.text() for spread in sides_of(series, server, load)] if workers else ["", ""]
                    rows.append([server, where, str(load.connections), own.text(), whole.text(), *sides])
    head = ["server", "model", "connections", "CPU us server process", "CPU us all", "added here", "worker's side"]
    return markdown("A small request, V2 JSON, a model that returns its input", head, rows)


def sides_of(series: Series, server: str, load: Load) -> tuple[Spread, Spread]:
    """CPU us a worker adds in the server's process, and all it uses itself (the model's own share included)."""
    inside, outside = (server, 0, load.connections), (server, 1, load.connections)
    here = series.difference(outside, "root_cpu_us", inside, "root_cpu_us")
    return here, series.difference(outside, "cpu_us", outside, "root_cpu_us")


def tensors_table(trips: Trips, direct: dict[str, list[float]]) -> str:
    """Milliseconds of a round trip from the client's side, and from the server's."""
    rows = []
    for size in SIZES:
        cells = []
        for where in ("in the server", "in a worker"):
            values = trips.get((size, where))
            cells.append(Spread([one["p50_ms"] for one in values]).text(3) if values else "")
        rows.append([size, *cells, Spread(direct[size]).text(3)])
    head = ["FP32 tensor", "REST, model in the server", "REST, model in a worker", "pool alone, no wire"]
    return markdown("Tensors to a model that returns them and back, one at a time: p50 ms", head, rows)


def goals(workers: Series, costs: Series, direct: dict[str, list[float]]) -> list[Goal]:
    """What was to be reached, and what was."""
    found = []
    if (OURS, 1) in workers and (OURS, 2) in workers:
        gain = workers.ratio((OURS, 2), (OURS, 1), "rps")
        text = "requests/s of 2 workers over 1, interpreter lock held (needs two free cores)"
        found.append(Goal(text, 1.7, gain.median, gain.text(2)))
    if not direct:
        return found
    for side, spread in (("server", Spread(direct["here"])), ("worker", Spread(direct["worker"]))):
        text = f"CPU of the pool per small request, 32 in flight, no wire: {side}'s side"
        found.append(Goal(text, 40, spread.median, spread.text(), at_most=True, unit="us"))
    if (OURS, 0, 32) in costs and (OURS, 1, 32) in costs:
        for side, spread in zip(("server", "worker"), sides_of(costs, OURS, Load(32)), strict=True):
            text = f"the same added to a REST request, 32 connections: {side}'s side"
            found.append(Goal(text, 40, spread.median, spread.text(), at_most=True, unit="us"))
    big = Spread(direct["16 MB"])
    found.append(Goal("16 MB to a worker and back, no wire", 8, big.median, big.text(2), at_most=True, unit="ms"))
    return found


def main() -> None:
    """Measure everything, print the tables."""
    with Bench(__doc__ or "", rounds=5, seconds=2, longest=1800) as bench:
        workers = two_workers(bench)
        bench.stop_all()
        costs, ours = small_requests(bench)
        trips = tensors(bench, ours)
        bench.stop_all()
        direct = without_wire(bench)
        print(f"## Worker pool\n\n{bench.conditions([workers, costs])}\n")
        print(workers_table(workers))
        print(cost_table(costs))
        if trips:
            print(tensors_table(trips, direct))
        print(goals_table(goals(workers, costs, direct)))


if __name__ == "__main__":
    main()
