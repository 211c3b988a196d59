"""Which worker gets which call, and what becomes of the calls of a worker that died; knows no process and no socket."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence

from ...errors import InternalError, OIPError, UnavailableError
from .calls import Call
from .model import PoolModel
from .remote import RemoteWorker

_log = logging.getLogger(__name__)

RETRY_AFTER = 1.0  # seconds, told to callers that come while no worker lives
_MAX_DEATHS = 2  # of workers, by one call


class Dispatcher:
    """Gives each call to the worker with the least work that can execute it.

    When a worker dies, the calls it had not begun go to another one and nothing is said. Each one it was executing may
    be the culprit: it is run once more, alone in a worker, so that a second death names the culprit beyond doubt and
    costs nobody else anything. A culprit is refused.
    """

    def __init__(self, retry: bool) -> None:
        """``retry``: whether calls that were being executed may be run again at all."""
        self._retry = retry
        self._waiting: deque[Call] = deque()  # for a worker
        self._suspects: deque[Call] = deque()  # to be run alone
        self._quarantine: RemoteWorker | None = None  # gets suspects alone, once it is idle

    @property
    def waiting(self) -> int:
        """Calls that no worker has now."""
        return len(self._waiting) + len(self._suspects)

    def submit(self, call: Call) -> None:
        """Give a new call to a worker. Raises OIPError where none can take it."""
        model = call.model
        if not model.workers:
            raise UnavailableError(
                f"model '{model.name}' is not available: {model.reason or 'no worker has it'}", retry_after=RETRY_AFTER
            )
        worker = self._least_busy(call)
        if worker is None:
            self._waiting.append(call)
        else:
            worker.send(call)

    def abandon(self, call: Call) -> None:
        """Forget a call that no worker has."""
        for queue in (self._waiting, self._suspects):
            if call in queue:
                queue.remove(call)
        self.settle()

    def _least_busy(self, call: Call) -> RemoteWorker | None:
        best: RemoteWorker | None = None
        for worker in call.model.workers:
            if worker is not self._quarantine and (best is None or len(worker.calls) < len(best.calls)):
                best = worker
        if best is None and call.nested and self._quarantine in call.model.workers:
            return self._quarantine  # the suspect may be the one that waits for it
        return best

    def finished(self, worker: RemoteWorker) -> None:
        """``worker`` has one call less."""
        if worker is self._quarantine and not worker.calls:
            self.settle()

    def ended(self, worker: RemoteWorker, calls: Sequence[Call], executing: set[int]) -> None:
        """``worker`` is gone, with ``calls`` unanswered; it had begun those in ``executing``."""
        if worker is self._quarantine:
            self._quarantine = None
        unstarted: list[Call] = []
        for call in calls:
            call.worker = call.block = None
            if call.abandoned:
                call.model.abandon(-1)
            elif call.id not in executing and not call.model.keeps_sequences:  # no other worker knows its sequence
                unstarted.append(call)
            else:
                self._suspect(call, worker.reason)
        self._waiting.extendleft(reversed(unstarted))
        if calls:
            counts = len(calls), len(executing), len(unstarted)
            _log.warning("worker %d had %d calls, %d of them begun; %d go to another worker", worker.pid, *counts)
        self.settle()

    def _suspect(self, call: Call, reason: str) -> None:
        call.deaths += 1
        name = call.model.name
        if call.deaths >= _MAX_DEATHS:
            call.fail(InternalError(f"model '{name}': two workers died executing this request; the last one {reason}"))
        elif not (self._retry and call.may_run_again):
            call.fail(InternalError(f"model '{name}': the worker executing this request {reason}"))
        else:
            self._suspects.append(call)

    def settle(self) -> None:
        """Hand over what waits, as far as there are workers for it."""
        while self._suspects and self._place_suspect(self._suspects[0]):
            self._suspects.popleft()
        if not self._suspects and self._quarantine is not None and not self._quarantine.calls:
            self._quarantine = None
        for _ in range(len(self._waiting)):
            call = self._waiting.popleft()
            worker = self._least_busy(call)
            if worker is None:
                self._waiting.append(call)
            else:
                _send(worker, call)

    def _place_suspect(self, call: Call) -> bool:
        """Send ``call`` to a worker that has nothing else; False where there is none yet."""
        workers = call.model.workers
        if self._quarantine is None or (self._quarantine not in workers and not self._quarantine.calls):
            self._quarantine = min(workers, key=lambda worker: len(worker.calls), default=None)
        if self._quarantine is None or self._quarantine.calls or self._quarantine not in workers:
            return False
        _send(self._quarantine, call)
        return True

    def fail(self, error: OIPError, concerned: Callable[[PoolModel], bool] = lambda _: True) -> None:
        """Fail what waits for models that are ``concerned``."""
        for queue in (self._waiting, self._suspects):
            for _ in range(len(queue)):
                call = queue.popleft()
                if concerned(call.model):
                    call.fail(error)
                else:
                    queue.append(call)
        self.settle()


def _send(worker: RemoteWorker, call: Call) -> None:
    try:
        worker.send(call)
    except OIPError as error:
        call.fail(error)
