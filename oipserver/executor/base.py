"""What a scheduler may ask of an executor; knows no queue and no batch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Sequence

from ..errors import OIPError, UnsupportedError
from ..protocol import InferRequest, InferResponse, Pending
from ..runtime import ModelFace
from ..runtime.handlers import HandlerRequest, HandlerResponse


class Executor(ABC):
    """One loaded model version and the place where it runs.

    ``load`` once, then any number of ``execute`` and ``stream``, then ``unload`` once. The scheduler sees to it that at
    most ``slots`` executions, or ``slots + ahead``, are under way. A cancelled ``execute`` or a closed ``stream`` stops
    waiting at once; the model's code is told where it can be.
    """

    #: Called on the loop whenever ``slots``, ``ahead`` or ``unavailable_reason`` changed: the scheduler's place.
    changed: Callable[[], None] = staticmethod(lambda: None)

    #: Whether the model, once loaded, takes several requests at once (``execute_all``).
    lists: bool = False

    @abstractmethod
    async def load(self) -> ModelFace:
        """Load the model. Raises ModelLoadError; nothing is left behind then."""

    @abstractmethod
    async def unload(self) -> None:
        """Unload the model and let go of everything ``load`` took. Never raises."""

    @property
    @abstractmethod
    def slots(self) -> int:
        """How many executions make sense at once; may change while workers come and go, and is 0 while none lives."""

    @property
    def ahead(self) -> int:
        """How many more executions it takes gladly, to begin each without delay; they wait their turn in it."""
        return 0

    @property
    @abstractmethod
    def unavailable_reason(self) -> str:
        """Why the model cannot be executed now; "" while it can."""

    @property
    def description(self) -> str:
        """Where the model runs, in two or three words for people."""
        return "in-process"

    @property
    def runs_inline(self) -> bool:
        """Whether the next ``execute`` will finish without suspending its caller."""
        return False

    @abstractmethod
    async def execute(self, request: InferRequest) -> InferResponse:
        """Run ``request``. The response's ``timings`` hold ``infer_start`` and ``infer_end``. Raises OIPError."""

    @property
    def posts(self) -> bool:
        """Whether there is ``post``."""
        return False

    def post(self, request: InferRequest) -> Pending[InferResponse]:
        """Run ``request`` as ``execute`` does, without a coroutine that waits. Raises OIPError where it cannot."""
        raise NotImplementedError

    async def execute_all(self, requests: Sequence[InferRequest]) -> list[InferResponse | OIPError]:
        """Run ``requests`` as one execution of a model whose face ``lists``; each has an outcome of its own, in order.

        Raises OIPError where all of them fail.
        """
        raise UnsupportedError("this executor runs one request at a time")

    @abstractmethod
    def stream(self, request: InferRequest) -> AsyncIterator[InferResponse]:
        """Run ``request`` and yield what the model answers, as it comes. Raises OIPError, also after some answers."""

    async def call_handler(self, request: HandlerRequest) -> HandlerResponse:
        """Call a custom handler of the model. Raises OIPError."""
        raise UnsupportedError(f"custom handler '{request.name}': this executor calls none")

    def execute_here(self, request: InferRequest) -> InferResponse | None:
        """Run ``request`` in the calling thread, whichever it is; None where this executor cannot."""
        return None
