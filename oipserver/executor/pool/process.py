"""Starting a worker's process and learning of its end; knows no frame and no model."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence

_BLOCKED = (signal.SIGINT, signal.SIGTERM)


class Process:
    """A child process and its end, learnt from its own pidfd: nobody else's children are ever waited for.

    It is a fresh interpreter, never a fork of this one: a fork of a process with threads inherits locks that nobody
    will ever release. SIGINT and SIGTERM are blocked in it until it says otherwise, so that a Ctrl-C during its start
    cannot end it.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        descriptors: Sequence[int],
        ended: Callable[[str], None],
    ) -> None:
        """Start ``command``; ``ended`` is called on the running loop with how it ended. Raises OSError."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _BLOCKED)
        try:
            self._child = subprocess.Popen(command, env=environment, pass_fds=descriptors, stdin=subprocess.DEVNULL)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        self.pid = self._child.pid
        self._ended = ended
        self._loop = asyncio.get_running_loop()
        try:
            self._pidfd = os.pidfd_open(self.pid)
        except OSError:  # as in a sandbox that does not know it
            self._child.kill()
            self._child.wait()
            raise
        self._loop.add_reader(self._pidfd, self._reap)

    def kill(self) -> None:
        """End it at once; harmless where it has ended."""
        if self._pidfd >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    def _reap(self) -> None:
        code = self._child.wait()  # returns at once: the pidfd says that it has ended
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        self._pidfd = -1
        ended = self._ended
        del self._ended  # whoever holds this process is not to be held by it
        ended(_how(code))


def _how(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    hint = " (the kernel does this when memory runs out)" if -code == signal.SIGKILL else ""
    return f"was killed by {name}{hint}"
