"""What do extensions save or cost? A 16 MB tensor through shared memory; an ensemble beside its parts."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.shared_memory import SharedMemory
from statistics import median

import numpy as np
from harness.bench import Bench
from harness.cases import Case, Payload, identity_case, parse_grpc, parse_rest
from harness.ensemble import ensemble, ensemble_goals, ensemble_table
from harness.measure import Spread
from harness.servers import Endpoint, ModelSpec, oipserver
from harness.table import Goal, goals_table, markdown
from harness.transfer import Trip, grpc_trips, rest_trips
from tritonclient.grpc import service_pb2
from tritonclient.http import InferenceServerClient

FLOATS = 4 << 20
BINARY, RAW = "REST binary", "gRPC raw"
SHARED_REST, SHARED_GRPC = "REST, shared memory", "gRPC, shared memory"
FILLED = "REST, shared memory, filled for each request"
TIMES = 4.0


@dataclass(slots=True)
class Regions:
    """Two registered regions of the tensor's size."""

    given: SharedMemory
    wanted: SharedMemory

    @staticmethod
    def rest(case: Case) -> Payload:
        """``case`` as JSON that names the regions."""
        (x,) = case.inputs.values()
        tensor = {"name": "x", "datatype": "FP32", "shape": list(x.shape), "parameters": _place("given", x.nbytes)}
        outputs = [{"name": "y", "parameters": _place("wanted", x.nbytes)}]
        body = json.dumps({"inputs": [tensor], "outputs": outputs}).encode()
        return Payload(body, {"Content-Type": "application/json"})

    @staticmethod
    def grpc(case: Case) -> Payload:
        """``case`` as a message that names the regions."""
        (x,) = case.inputs.values()
        message = service_pb2.ModelInferRequest(model_name=case.model)
        tensor = message.inputs.add(name="x", datatype="FP32", shape=x.shape)
        for item, region in ((tensor, "given"), (message.outputs.add(name="y"), "wanted")):
            item.parameters["shared_memory_region"].string_param = region
            item.parameters["shared_memory_byte_size"].int64_param = x.nbytes
        return Payload(message.SerializeToString(), grpc=True)


def _place(region: str, size: int) -> dict[str, object]:
    return {"shared_memory_region": region, "shared_memory_byte_size": size}


@contextmanager
def regions(endpoint: Endpoint, size: int) -> Iterator[Regions]:
    """Regions of ``size`` bytes, registered with the server; they are gone afterwards."""
    client = InferenceServerClient(f"127.0.0.1:{endpoint.http_port}")
    memories = {name: SharedMemory(create=True, size=size) for name in ("given", "wanted")}
    try:
        for name, memory in memories.items():
            client.register_system_shared_memory(name, f"/{memory.name}", size)
        yield Regions(**memories)
        client.unregister_system_shared_memory()
    finally:
        client.close()
        for memory in memories.values():
            memory.close()
            memory.unlink()


def ways(endpoint: Endpoint, case: Case, shared: Regions) -> dict[str, Callable[[], Trip]]:
    """One round trip of ``case`` by each way, checked once."""
    (x,) = case.inputs.values()
    data = memoryview(x).cast("B")

    def filled() -> Trip:
        shared.given.buf[: x.nbytes] = data
        return by_rest()

    by_rest = rest_trips(endpoint.http_port, case.model, shared.rest(case))
    found = {
        BINARY: rest_trips(endpoint.http_port, case.model, case.binary()),
        RAW: grpc_trips(endpoint.grpc_port, case.grpc(raw=True)),
        SHARED_REST: by_rest,
        SHARED_GRPC: grpc_trips(endpoint.grpc_port, shared.grpc(case)),
        FILLED: filled,
    }
    shared.given.buf[: x.nbytes] = data
    for name, trip in found.items():
        shared.wanted.buf[: x.nbytes] = bytes(x.nbytes)
        _, _, answer, json_part = trip()
        if name == BINARY:
            case.check(parse_rest(bytes(answer), json_part))
        elif name == RAW:
            case.check(parse_grpc(bytes(answer)))
        else:
            case.check({"y": np.frombuffer(bytes(shared.wanted.buf[: x.nbytes]), np.float32)})
    return found


def rate(trip: Callable[[], Trip], seconds: float) -> float:
    """Round trips per second, one after the other."""
    began, count = time.perf_counter(), 0
    while (now := time.perf_counter()) - began < seconds:
        trip()
        count += 1
    return count / (now - began)


def shared_memory(bench: Bench) -> dict[str, list[float]]:
    """Round trips per second of a 16 MB tensor, by way, one figure for each round."""
    endpoint = oipserver(bench.folder / "shared-memory", [ModelSpec("identity", bench.files["identity"])])
    bench.start("oipserver", endpoint)
    case = identity_case(FLOATS)
    with regions(endpoint, FLOATS * 4) as shared:
        return _rounds(bench, ways(endpoint, case, shared))


def _rounds(bench: Bench, trips: dict[str, Callable[[], Trip]]) -> dict[str, list[float]]:
    rates: dict[str, list[float]] = {name: [] for name in trips}
    for _ in range(bench.rounds):
        for name, trip in trips.items():
            rates[name].append(rate(trip, bench.seconds))
    return rates


def shared_memory_table(rates: dict[str, list[float]]) -> str:
    """Trips, megabytes per second, and how many times the rate of REST binary each way has."""
    rows = []
    for name, found in rates.items():
        times = [one / binary for one, binary in zip(found, rates[BINARY], strict=True)]
        megabytes = [one * FLOATS * 4 / 1e6 for one in found]
        rows.append([name, f"{1e3 / median(found):.2f}", f"{median(megabytes):.0f}", f"{Spread(times).text(1)}"])
    return markdown("16 MB to an identity model and back", ["way", "ms", "MB/s", "times REST binary"], rows)


def shared_memory_goal(rates: dict[str, list[float]]) -> Goal:
    """Shared memory beside REST binary."""
    times = [one / binary for one, binary in zip(rates[SHARED_REST], rates[BINARY], strict=True)]
    text = "16 MB through system shared memory, beside REST binary"
    return Goal(text, TIMES, median(times), Spread(times).text(1))


def main() -> None:
    """Measure everything, print the tables."""
    with Bench(__doc__ or "", rounds=5, seconds=2, longest=600) as bench:
        rates = shared_memory(bench)
        bench.stop_all()
        steps = ensemble(bench)
        bench.stop_all()
        print(f"## Extensions\n\n{bench.conditions([steps])}\n")
        print(shared_memory_table(rates))
        print(ensemble_table(steps))
        print(goals_table([shared_memory_goal(rates), *ensemble_goals(steps)]))


if __name__ == "__main__":
    main()
