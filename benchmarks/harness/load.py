"""Load generators: wrk for REST, h2load for gRPC, our own client for big tensors; knows no server."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from .cases import Payload
from .process import pinned

_HERE = Path(__file__).parent
INFER_METHOD = "/inference.GRPCInferenceService/ModelInfer"


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What a load generator saw: answers, seconds, and latencies in microseconds."""

    requests: int
    seconds: float
    p50_us: float
    p99_us: float

    @property
    def rps(self) -> float:
        """Answers per second."""
        return self.requests / self.seconds


@dataclass(frozen=True, slots=True)
class Load:
    """``connections`` clients that each keep ``streams`` requests in flight (more than one only over gRPC)."""

    connections: int
    streams: int = 1

    @property
    def label(self) -> str:
        """How tables name it."""
        return str(self.connections) if self.streams == 1 else f"{self.connections}x{self.streams}"


def _run(argv: list[str], seconds: float) -> str:
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=seconds + 20, check=False)
    except subprocess.TimeoutExpired:
        raise TimeoutError(f"{Path(argv[0]).name} was not done {seconds + 20:.0f} s after its start") from None
    if done.returncode:
        raise RuntimeError(f"{' '.join(argv)} failed: {(done.stderr or done.stdout)[-600:]}")
    return done.stdout


def run_wrk(url: str, payload: Payload, load: Load, seconds: float, folder: Path, cores: str) -> LoadResult:
    """Load a REST endpoint. Raises RuntimeError where any answer was not a 200."""
    body = folder / "wrk-body"
    body.write_bytes(payload.body)
    headers = [f"{name}: {value}" for name, value in payload.headers.items()]
    argv = ["wrk", "-t1", f"-c{load.connections}", f"-d{max(1, round(seconds))}s", "--timeout", "10s"]
    argv += ["-s", str(_HERE / "wrk.lua"), url, "--", str(body), *headers]
    found = json.loads(_run(pinned(cores, argv), seconds).rpartition("RESULT ")[2])
    if found["errors"] or not found["requests"]:
        raise RuntimeError(f"{url}: {found['errors']} of {found['requests']} requests failed under load")
    return LoadResult(found["requests"], found["us"] / 1e6, found["p50"], found["p99"])


def run_h2load(
    port: int, payload: Payload, answer_bytes: int, load: Load, seconds: float, folder: Path, cores: str
) -> LoadResult:
    """Load ModelInfer. h2load sees no grpc-status, so errors show as answers of another size: RuntimeError."""
    body, log = folder / "grpc-body", folder / "grpc-log"
    body.write_bytes(b"\0" + len(payload.body).to_bytes(4, "big") + payload.body)
    log.unlink(missing_ok=True)
    argv = ["h2load", "-t1", f"-c{load.connections}", f"-m{load.streams}", f"-D{max(1, round(seconds))}"]
    argv += ["-d", str(body), "-H", "content-type: application/grpc", "-H", "te: trailers", "--log-file", str(log)]
    text = _run(pinned(cores, [*argv, f"http://127.0.0.1:{port}{INFER_METHOD}"]), seconds)
    elapsed = float(re.search(r"finished in ([\d.]+)(m?s)", text)[1])  # type: ignore[index]
    done, succeeded = map(int, re.search(r"(\d+) done, (\d+) succeeded", text).groups())  # type: ignore[union-attr]
    data_bytes = int(re.search(r"\((\d+)\) data", text)[1])  # type: ignore[index]
    expected = (answer_bytes + 5) * done
    # Answers under way when the time was up are counted in bytes, but not as done.
    under_way = (answer_bytes + 5) * load.connections * load.streams
    if succeeded < done or not done or not expected * 0.999 <= data_bytes <= expected * 1.001 + under_way:
        raise RuntimeError(f"gRPC answers are not all right: {done} done, {succeeded} succeeded, {data_bytes} bytes")
    latencies = sorted(int(line.rsplit("\t", 1)[1]) for line in log.read_text().splitlines())
    log.unlink()
    return LoadResult(done, elapsed, latencies[len(latencies) // 2], latencies[int(len(latencies) * 0.99)])


def run_transfer(
    port: int, model: str, wire: str, floats: int, connections: int, seconds: float, cores: str
) -> dict[str, float]:
    """Send ``floats`` floats there and back for ``seconds`` over ``wire`` ("rest" or "grpc"); see transfer.py.

    Raises RuntimeError or TimeoutError where that does not work.
    """
    argv = [sys.executable, str(_HERE / "transfer.py"), str(port), model, wire, str(floats), str(connections)]
    return dict(json.loads(_run(pinned(cores, [*argv, str(seconds)]), seconds + 20)))


def run_session_loop(path: Path, seconds: float, inputs: list[str], cores: str) -> float:
    """CPU microseconds of one ``session.run`` in a loop; ``inputs``: name and shape in turn, see session_loop.py."""
    argv = [sys.executable, str(_HERE / "session_loop.py"), str(path), str(seconds), *inputs]
    return float(json.loads(_run(pinned(cores, argv), seconds))["cpu_us"])


def run_executor_trips(sizes: list[int], seconds: float, cores: str) -> list[float]:
    """Milliseconds of a round trip of each of ``sizes`` (floats), then CPU us per small request of the server's side
    and of the worker's; see executor_trips.py."""
    argv = [sys.executable, str(_HERE / "executor_trips.py"), str(seconds), *map(str, sizes)]
    found = json.loads(_run(pinned(cores, argv), seconds * (len(sizes) + 1)))
    return [*found["trips"], found["here_us"], found["worker_us"]]
