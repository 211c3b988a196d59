"""Server processes: started on the cores they are to have, watched, and killed whatever happens."""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

_TICK_US = 1e6 / os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_libc = ctypes.CDLL(None)


def free_port() -> int:
    """A loopback port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True, slots=True)
class ProcessStat:
    """One process as the kernel sees it now."""

    parent: int
    session: int
    cpu_us: float
    resident: int


def _stats() -> dict[int, ProcessStat]:
    found = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                fields = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()
                cpu_us = (int(fields[11]) + int(fields[12])) * _TICK_US
                found[int(entry)] = ProcessStat(int(fields[1]), int(fields[3]), cpu_us, int(fields[21]) * _PAGE)
    return found


def tree(root: int, *, with_session: bool = True) -> dict[int, ProcessStat]:
    """``root``, each of its living descendants and, ``with_session``, whoever else is of its session."""
    stats = _stats()
    children: dict[int, list[int]] = {}
    for pid, stat in stats.items():
        children.setdefault(stat.parent, []).append(pid)
    found: dict[int, ProcessStat] = {}
    todo = [pid for pid, stat in stats.items() if pid == root or (with_session and stat.session == root)]
    while todo:
        pid = todo.pop()
        if pid not in found:
            found[pid] = stats[pid]
            todo += children.get(pid, [])
    return found


def busy_us() -> float:
    """CPU microseconds all cores of the machine were not idle since it started."""
    user, nice, system, _, _, irq, softirq, steal = map(int, Path("/proc/stat").read_text().split()[1:9])
    return (user + nice + system + irq + softirq + steal) * _TICK_US


def pinned(cores: str, argv: list[str]) -> list[str]:
    """``argv`` run on ``cores`` only."""
    return ["taskset", "-c", cores, *argv]


@dataclass(slots=True)
class Command:
    """How a server is started: its command line, environment and folder, and where it says that it is ready."""

    argv: list[str]
    cwd: Path
    port: int
    env: dict[str, str] = field(default_factory=dict)
    ready_path: str | None = "/v2/health/ready"
    ready_seconds: float = 90.0


class ServerProcess:
    """One running server. Its whole tree runs on ``cores`` ("0", "0,1")."""

    def __init__(self, name: str, command: Command, log: Path, cores: str) -> None:
        self.name = name
        self._command = command
        self._log = log
        self._cores = cores
        self._process: subprocess.Popen[bytes] | None = None
        self.seconds_to_ready = 0.0

    def start(self) -> None:
        """Start, and wait until it is ready. Raises RuntimeError with the end of its log where it is not in time."""
        began = time.perf_counter()
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                pinned(self._cores, self._command.argv),
                cwd=self._command.cwd,
                env={**_inherited(), **self._command.env},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )
        _running.append(self)
        while not self._is_ready():
            if self._process.poll() is not None or time.perf_counter() - began > self._command.ready_seconds:
                self.stop()
                raise RuntimeError(f"{self.name} did not get ready; the end of its log:\n{self.log_tail()}")
            time.sleep(0.005)
        self.seconds_to_ready = time.perf_counter() - began

    def _is_ready(self) -> bool:
        port = self._command.port
        if self._command.ready_path is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                return True
            return False
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{self._command.ready_path}", timeout=2) as answer:
                return bool(answer.status == 200)
        except (OSError, urllib.error.URLError):
            return False

    def log_tail(self, lines: int = 25) -> str:
        """The last ``lines`` the server printed."""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-lines:])

    @property
    def pid(self) -> int:
        """The process id of the root of the tree."""
        if self._process is None:
            raise RuntimeError(f"{self.name} is not started")
        return self._process.pid

    def cpu_us(self) -> dict[int, float]:
        """CPU microseconds used so far by each process of the tree."""
        return {pid: stat.cpu_us for pid, stat in tree(self.pid).items()}

    def resident_mb(self) -> tuple[float, float]:
        """Resident megabytes of the root process alone, and of the whole tree."""
        sizes = {pid: stat.resident / 1e6 for pid, stat in tree(self.pid).items()}
        return sizes[self.pid], sum(sizes.values())

    def stop(self) -> None:
        """End the whole tree: asked first, killed after two seconds."""
        if self._process is None:
            return
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=2)
        _kill(tree(self._process.pid))
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=5)
        self._process = None
        if self in _running:
            _running.remove(self)

    def __enter__(self) -> ServerProcess:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


_running: list[ServerProcess] = []


def _inherited() -> dict[str, str]:
    """Our environment without anything that would change a server's settings."""
    settings = ("OIPSERVER_", "MLSERVER_", "MOSEC_", "OMP_", "PYTHONPATH")
    return {name: value for name, value in os.environ.items() if not name.startswith(settings)}


def _kill(pids: Iterable[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _die_with_parent() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _leave_nothing() -> None:
    for server in _running:
        server.stop()
    _kill(pid for pid in tree(os.getpid(), with_session=False) if pid != os.getpid())


def guard(seconds: float) -> None:
    """Make this program end within ``seconds``, and leave no process behind whichever way it ends."""

    def leave(signum: int, _frame: object) -> None:
        why = f"stopped after {seconds:.0f} s" if signum == signal.SIGALRM else signal.Signals(signum).name
        raise SystemExit(why)

    # Orphans of a server that died become our children, where they can be found.
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1)
    for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGALRM):
        signal.signal(signum, leave)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    atexit.register(_leave_nothing)
