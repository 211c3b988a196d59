"""One request on its way through the steps of an ensemble; knows no configuration and keeps nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing

from ...errors import InternalError, NotFoundError, OIPError, UnavailableError, error_from_code
from ...protocol import InferRequest, InferResponse, RequestedOutput
from ...tensor import Tensor
from .members import Member
from .plan import Plan, Step


class EnsembleRun:
    """The tensors that are there so far, and the steps that still wait for some.

    A step runs as soon as what it needs is there; those that need nothing of each other run side by side. Tensors pass
    under another name and otherwise as they are. Raises OIPError naming the step that failed.
    """

    def __init__(self, plan: Plan, members: Mapping[Step, Member], request: InferRequest) -> None:
        self._plan = plan
        self._members = members
        self._request = request
        self._tensors: dict[str, Tensor] = {tensor.name: tensor for tensor in request.inputs}
        self._done: set[Step] = set()
        self._begun: set[Step] = set()

    async def all(self, but: Step | None = None) -> None:
        """Run every step, or all ``but`` one that needs the others."""
        if but is not None:
            self._begun.add(but)
        if self._plan.chain:
            for step in self._plan.steps:
                if step is not but:
                    self._keep(step, await self._call(step))
            return
        try:
            async with asyncio.TaskGroup() as group:
                await self._side_by_side(group)
        except BaseExceptionGroup as failures:
            raise _first(failures) from None

    async def _side_by_side(self, group: asyncio.TaskGroup) -> None:
        """Run what can run now, and after each what it was that others waited for; the last of them in this task."""
        ready = self._ready()
        while ready:
            *others, mine = ready
            for step in others:
                group.create_task(self._in_task(group, step))
            self._keep(mine, await self._call(mine))
            ready = self._ready()

    async def _in_task(self, group: asyncio.TaskGroup, step: Step) -> None:
        self._keep(step, await self._call(step))
        await self._side_by_side(group)

    def _ready(self) -> list[Step]:
        producers, done = self._plan.producers, self._done
        ready = [
            step
            for step in self._plan.steps
            if step not in self._begun
            and all(producers[tensor] in done for _, tensor in step.inputs if tensor in producers)
        ]
        self._begun.update(ready)
        return ready

    async def pieces(self, last: Step) -> AsyncIterator[list[Tensor]]:
        """Run the other steps, then ``last``: the ensemble's outputs with each of its answers."""
        await self.all(but=last)
        try:
            async with aclosing(self._members[last].stream(self._inner(last))) as answers:
                async for answer in answers:
                    self._keep(last, answer)
                    yield self.outputs()
        except OIPError as error:
            raise self._named(last, error) from error

    # -- one step ------------------------------------------------------------------------------------------------------

    async def _call(self, step: Step) -> InferResponse:
        try:
            return await self._members[step].infer(self._inner(step))
        except OIPError as error:
            raise self._named(step, error) from error

    def _inner(self, step: Step) -> InferRequest:
        """The request to the model of ``step``: what is optional and not there, it does without."""
        request, tensors = self._request, self._tensors
        return InferRequest(
            step.model,
            [_passed(tensors[tensor], name) for name, tensor in step.inputs if tensor in tensors],
            step.version,
            request.id,
            [RequestedOutput(name) for name, _ in step.outputs],
            dict(request.parameters),
            request.headers,
            request.deadline,
        )

    def _keep(self, step: Step, response: InferResponse) -> None:
        given = {tensor.name: tensor for tensor in response.outputs}
        for name, tensor in step.outputs:
            if name in given:
                self._tensors[tensor] = _passed(given[name], tensor)
        self._done.add(step)

    def outputs(self) -> list[Tensor]:
        """What the caller asked for, or all there is. Raises InternalError where a model left out what was asked."""
        asked = [output.name for output in self._request.outputs]
        names = asked or [tensor.name for tensor in self._plan.outputs]
        missing = [name for name in names if name not in self._tensors]
        if missing:
            raise InternalError(
                f"in ensemble '{self._plan.name}', {self._plan.producers[missing[0]]} gave no tensor '{missing[0]}'"
            )
        return [self._tensors[name] for name in names]

    def _named(self, step: Step, error: OIPError) -> OIPError:
        """``error`` as the ensemble's caller is to see it: a model that is gone is no mistake of theirs."""
        message = f"in ensemble '{self._plan.name}', {step}: {error.message}"
        if isinstance(error, NotFoundError):
            return UnavailableError(message, retry_after=1.0)
        return error_from_code(error.code, message, error.retry_after, error.status_code)


def _passed(tensor: Tensor, name: str) -> Tensor:
    """``tensor`` under another name. Its parameters are between a model and its caller."""
    passed = tensor.renamed(name)
    passed.parameters = None
    return passed


def _first(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    for failure in failures.exceptions:
        return _first(failure) if isinstance(failure, BaseExceptionGroup) else failure
    raise AssertionError("a group has exceptions")
