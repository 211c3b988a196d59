"""Shapes between those that callers see and those that a model sees; knows no configuration and copies nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from ..errors import OIPError
from ..protocol import InferRequest, InferResponse
from ..runtime import ModelFace
from ..runtime.handlers import HandlerRequest, HandlerResponse
from ..tensor import Tensor
from .base import Executor


@dataclass(frozen=True, slots=True)
class Reshape:
    """Tensors of the shape ``given`` get the shape ``wanted``; a -1 in it is the next dynamic dimension of the other.

    With ``batched`` both have one more axis in front, which stays.
    """

    given: tuple[int, ...]
    wanted: tuple[int, ...]
    batched: bool = False

    def __call__(self, tensor: Tensor) -> Tensor:
        """``tensor`` in its other shape, over the same data; as it is where it has another shape than the given."""
        lead = tensor.shape[:1] if self.batched else ()
        dims = tensor.shape[len(lead) :]
        if len(dims) != len(self.given) or any(
            want not in (-1, dim) for dim, want in zip(dims, self.given, strict=True)
        ):
            return tensor
        dynamic = iter([dim for dim, want in zip(dims, self.given, strict=True) if want == -1])
        return tensor.reshaped((*lead, *(next(dynamic) if dim == -1 else dim for dim in self.wanted)))


class ReshapingExecutor(Executor):
    """Another executor, loaded already, whose model sees other shapes than its callers: ``inputs`` and ``outputs`` say
    by name which."""

    def __init__(self, inner: Executor, inputs: Mapping[str, Reshape], outputs: Mapping[str, Reshape]) -> None:
        self._inner = inner
        self._inputs = inputs
        self._outputs = outputs
        self.lists = inner.lists
        inner.changed = lambda: self.changed()

    async def load(self) -> ModelFace:
        return await self._inner.load()

    async def unload(self) -> None:
        await self._inner.unload()

    @property
    def slots(self) -> int:
        return self._inner.slots

    @property
    def ahead(self) -> int:
        return self._inner.ahead

    @property
    def unavailable_reason(self) -> str:
        return self._inner.unavailable_reason

    @property
    def description(self) -> str:
        return self._inner.description

    @property
    def runs_inline(self) -> bool:
        return self._inner.runs_inline

    async def execute(self, request: InferRequest) -> InferResponse:
        return self._answer(await self._inner.execute(self._ask(request)))

    async def execute_all(self, requests: Sequence[InferRequest]) -> list[InferResponse | OIPError]:
        outcomes = await self._inner.execute_all([self._ask(request) for request in requests])
        return [self._answer(outcome) if isinstance(outcome, InferResponse) else outcome for outcome in outcomes]

    def execute_here(self, request: InferRequest) -> InferResponse | None:
        response = self._inner.execute_here(self._ask(request))
        return None if response is None else self._answer(response)

    async def stream(self, request: InferRequest) -> AsyncIterator[InferResponse]:
        answers = self._inner.stream(self._ask(request))
        async with aclosing(answers):  # type: ignore[type-var]
            async for answer in answers:
                yield self._answer(answer)

    async def call_handler(self, request: HandlerRequest) -> HandlerResponse:
        return await self._inner.call_handler(request)

    def _ask(self, request: InferRequest) -> InferRequest:
        return replace(request, inputs=[_reshaped(tensor, self._inputs) for tensor in request.inputs])

    def _answer(self, response: InferResponse) -> InferResponse:
        response.outputs = [_reshaped(tensor, self._outputs) for tensor in response.outputs]
        return response


def _reshaped(tensor: Tensor, reshapes: Mapping[str, Reshape]) -> Tensor:
    reshape = reshapes.get(tensor.name)
    return tensor if reshape is None else reshape(tensor)
