"""One measurement of one server under one load, and many of them in interleaved rounds."""

from __future__ import annotations

import http.client
import resource
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import grpc

from .cases import HEADER_LENGTH, Case, Payload, parse_grpc, parse_rest
from .load import INFER_METHOD, Load, LoadResult, run_h2load, run_wrk
from .process import ServerProcess, busy_us
from .servers import Endpoint


@dataclass(frozen=True, slots=True)
class Measurement:
    """CPU microseconds per request of the server's tree (``cpu_us``), of its root process alone, and what the load
    generator saw. ``others``: cores that anything else on the machine kept busy meanwhile."""

    cpu_us: float
    root_cpu_us: float
    rps: float
    p50_us: float
    p99_us: float
    others: float


@dataclass(slots=True)
class Target:
    """A started server and one kind of request to it."""

    process: ServerProcess
    endpoint: Endpoint
    case: Case
    payload: Payload
    answer_bytes: int = 0

    def check(self) -> None:
        """Send the request once, with a client that is not the load generator. Raises where the answer is wrong."""
        if self.payload.grpc:
            with grpc.insecure_channel(f"127.0.0.1:{self.endpoint.grpc_port}") as channel:
                answer = channel.unary_unary(INFER_METHOD)(self.payload.body, timeout=30)
            self.answer_bytes = len(answer)
            self.case.check(parse_grpc(answer))
            return
        status, answer, header_length = self._post()
        deadline = time.monotonic() + 20
        while status in (502, 503) and time.monotonic() < deadline:
            # mosec listens before its worker is there.
            time.sleep(0.1)
            status, answer, header_length = self._post()
        if status != 200:
            raise RuntimeError(f"{self.process.name}: {status} {answer[:300]!r}\n{self.process.log_tail()}")
        self.case.check(parse_rest(answer, header_length))

    def _post(self) -> tuple[int, bytes, int | None]:
        url = urlsplit(self.endpoint.url(self.case.model))
        connection = http.client.HTTPConnection("127.0.0.1", url.port, timeout=30)
        try:
            connection.request("POST", url.path, self.payload.body, self.payload.headers)
            answer = connection.getresponse()
            length = answer.getheader(HEADER_LENGTH)
            return answer.status, answer.read(), int(length) if length else None
        finally:
            connection.close()

    def load(self, load: Load, seconds: float, folder: Path, cores: str) -> LoadResult:
        """Run the load generator of this kind of request."""
        if self.payload.grpc:
            port = self.endpoint.grpc_port
            return run_h2load(port, self.payload, self.answer_bytes, load, seconds, folder, cores)
        return run_wrk(self.endpoint.url(self.case.model), self.payload, load, seconds, folder, cores)

    def measure(self, load: Load, seconds: float, folder: Path, cores: str) -> Measurement:
        """Load the server for ``seconds`` and say what each request cost it."""
        before, busy, ours, began = self.process.cpu_us(), busy_us(), _children_us(), time.perf_counter()
        result = self.load(load, seconds, folder, cores)
        wall = time.perf_counter() - began
        after = self.process.cpu_us()
        used = {pid: cpu - before.get(pid, 0.0) for pid, cpu in after.items()}
        others = (busy_us() - busy - sum(used.values()) - (_children_us() - ours)) / (wall * 1e6)
        tree_us, root_us = sum(used.values()) / result.requests, used[self.process.pid] / result.requests
        return Measurement(tree_us, root_us, result.rps, result.p50_us, result.p99_us, max(0.0, others))


def _children_us() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (usage.ru_utime + usage.ru_stime) * 1e6


@dataclass(slots=True)
class Spread:
    """Several measurements of one thing."""

    values: list[float]

    @property
    def median(self) -> float:
        """The figure to quote."""
        return statistics.median(self.values)

    def text(self, digits: int = 0) -> str:
        """``median [min-max]``; the median alone where there is one value."""
        if len(self.values) == 1:
            return f"{self.median:.{digits}f}"
        return f"{self.median:.{digits}f} [{min(self.values):.{digits}f}-{max(self.values):.{digits}f}]"


class Series:
    """All measurements of a run: by a key, then by the round."""

    def __init__(self) -> None:
        self._found: dict[object, dict[int, Measurement]] = {}
        self.failures: list[str] = []

    def add(self, key: object, number: int, measurement: Measurement) -> None:
        """Note the measurement of round ``number``."""
        self._found.setdefault(key, {})[number] = measurement

    def __contains__(self, key: object) -> bool:
        return key in self._found

    def spread(self, key: object, field: str) -> Spread:
        """All values of a field of Measurement."""
        return Spread([getattr(measurement, field) for measurement in self._found[key].values()])

    def ratio(self, above: object, below: object, field: str) -> Spread:
        """``above`` / ``below``, each round with itself, so that what disturbed both cancels out."""
        upper, lower = self._found[above], self._found[below]
        rounds = upper.keys() & lower.keys()
        return Spread([getattr(upper[number], field) / getattr(lower[number], field) for number in rounds])

    def difference(self, more: object, more_field: str, less: object, less_field: str) -> Spread:
        """``more`` - ``less``, each round with itself."""
        upper, lower = self._found[more], self._found[less]
        rounds = upper.keys() & lower.keys()
        return Spread([getattr(upper[number], more_field) - getattr(lower[number], less_field) for number in rounds])

    def others(self) -> Spread:
        """Cores kept busy by others, over all measurements."""
        return Spread([one.others for found in self._found.values() for one in found.values()])


def run_rounds(jobs: Sequence[tuple[object, Callable[[], Measurement]]], rounds: int) -> Series:
    """Run every job once a round, in turn, each round beginning with another one.

    A measurement that fails is tried once more; then it is left out, and noted as a failure.
    """
    series = Series()
    for number in range(rounds):
        shift = number * len(jobs) // max(1, rounds)
        for key, job in [*jobs[shift:], *jobs[:shift]]:
            for attempt in (1, 2):
                try:
                    measurement = job()
                except (RuntimeError, TimeoutError) as error:
                    progress(f"{key}: {error}")
                    if attempt == 2:
                        series.failures.append(f"round {number + 1}, {key}: {error}")
                else:
                    cost = f"{measurement.cpu_us:.0f} us CPU, {measurement.rps:.0f} requests/s"
                    progress(f"round {number + 1}/{rounds} {key}: {cost}, others {measurement.others:.2f} cores")
                    series.add(key, number, measurement)
                    break
    return series


def progress(text: str) -> None:
    """Say on stderr how far we are."""
    print(text, file=sys.stderr, flush=True)
