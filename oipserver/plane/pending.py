"""An inference under way whose caller is told the answer instead of awaiting it; knows no wire."""

from __future__ import annotations

from collections.abc import Callable

from ..errors import CancelledError
from ..protocol import InferRequest, InferResponse, Pending
from ..registry import Servable

Tell = Callable[[InferResponse | Exception], None]


_CANCELLED = CancelledError("the caller has left")
#: Completes an answer and counts it, and returns it, or what went wrong; an exception is counted as a failure.
Finish = Callable[[Servable, InferRequest, int, InferResponse | Exception], InferResponse | Exception]


class PendingInference(Pending[InferResponse]):
    """A request in a scheduler, with the lease on its servable, which ends when the request does."""

    __slots__ = ("_answer", "_finish", "_over", "_received", "_request", "_servable", "_tell")

    def __init__(
        self,
        servable: Servable,
        request: InferRequest,
        answer: Pending[InferResponse],
        received: int,
        finish: Finish,
    ) -> None:
        self._servable = servable
        self._request = request
        self._answer = answer
        self._received = received
        self._finish = finish
        self._over = False

    def then(self, tell: Tell) -> None:
        self._tell = tell
        self._answer.then(self._answered)

    def cancel(self) -> None:
        if not self._over:
            self._over = True
            self._answer.cancel()
            self._end(_CANCELLED)

    def _answered(self, outcome: InferResponse | Exception) -> None:
        assert not self._over, "nothing is told after cancel()"
        self._over = True
        tell = self._tell
        del self._tell  # no cycles: what is told may be large, and is not to wait for the garbage collector
        tell(self._end(outcome))

    def _end(self, outcome: InferResponse | Exception) -> InferResponse | Exception:
        try:
            return self._finish(self._servable, self._request, self._received, outcome)
        finally:
            self._servable.release()
