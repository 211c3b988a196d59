"""What every benchmark script shares: its options, its folder, and the servers it started."""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from types import TracebackType

from .environments import Environments, add_options
from .load import Load
from .measure import Measurement, Series, Target, progress
from .models import write_models
from .process import ServerProcess, guard
from .servers import Endpoint


class Bench:
    """Options and servers of one run; a context manager that leaves no process and no file behind."""

    def __init__(self, description: str, *, rounds: int, seconds: int, longest: float) -> None:
        """Read the command line; ``rounds`` and ``seconds`` are the defaults, ``longest`` bounds the whole run."""
        parser = argparse.ArgumentParser(description=description)
        parser.add_argument("--quick", action="store_true", help="one short round: does everything work?")
        parser.add_argument("--rounds", type=int, help=f"interleaved rounds (default {rounds})")
        parser.add_argument("--seconds", type=int, help=f"seconds of one measurement (default {seconds})")
        parser.add_argument("--only", default="", help="substring: run only servers whose name has it")
        parser.add_argument("--free", action="store_true", help="pin nothing to a core")
        add_options(parser)
        options = parser.parse_args()
        self.quick: bool = options.quick
        self.rounds: int = options.rounds or (1 if self.quick else rounds)
        self.seconds: int = options.seconds or (1 if self.quick else seconds)
        cores = sorted(os.sched_getaffinity(0))
        self.all_cores = ",".join(map(str, cores))
        self.pinned = not options.free and len(cores) > 1
        self.server_cores = str(cores[0]) if self.pinned else self.all_cores
        self.load_cores = str(cores[1]) if self.pinned else self.all_cores
        self.environments = Environments(options.venv)
        self._only: str = options.only
        self._temporary = tempfile.TemporaryDirectory(prefix="oip-bench-")
        self.folder = Path(self._temporary.name)
        self.files = write_models(self.folder / "onnx")
        self._processes: list[ServerProcess] = []
        guard(longest)
        if self.pinned:
            os.sched_setaffinity(0, {cores[1]})

    def wanted(self, name: str) -> bool:
        """Whether ``--only`` lets the server ``name`` run."""
        return self._only in name

    def start(self, name: str, endpoint: Endpoint, cores: str = "") -> ServerProcess:
        """Start a server, on the servers' core unless ``cores`` says otherwise, and stop it with this run."""
        log = self.folder / f"{name.replace(' ', '-').replace('/', '-')}.log"
        process = ServerProcess(name, endpoint.command, log, cores or self.server_cores)
        process.start()
        self._processes.append(process)
        progress(f"{name} is ready after {process.seconds_to_ready:.2f} s")
        return process

    def stop_all(self) -> None:
        """Stop every server started so far, the last first."""
        while self._processes:
            self._processes.pop().stop()

    def job(self, target: Target, load: Load, cores: str = "") -> Callable[[], Measurement]:
        """A measurement of ``target`` under ``load``, to be run in each round."""
        return lambda: target.measure(load, self.seconds, self.folder, cores or self.load_cores)

    def warm(self, target: Target) -> None:
        """See that ``target`` answers rightly, and, unless in a hurry, load it for a second."""
        target.check()
        if not self.quick:
            target.load(Load(32), 1, self.folder, self.load_cores)

    def __enter__(self) -> Bench:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop_all()
        self._temporary.cleanup()

    def conditions(self, series: Sequence[Series]) -> str:
        """One line saying how and where this was measured."""
        cores = "server on one core, load on another" if self.pinned else "no process pinned"
        found = [one for each in series for one in each.others().values]
        others = f"; others kept {median(found):.2f} (at most {max(found):.2f}) cores busy" if found else ""
        return (
            f"{self.rounds} round(s) of {self.seconds} s, {cores}; median [min-max]{others}; "
            f"{os.cpu_count()} x {_cpu()}, Python {platform.python_version()}"
            + "".join(f"\n- failed: {failure}" for each in series for failure in each.failures)
        )


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
