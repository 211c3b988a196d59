"""One request on its way through the steps of an ensemble; knows no configuration and keeps nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing

from ...errors import InternalError, NotFoundError, OIPError, UnavailableError, error_from_code
from ...protocol import InferRequest, InferResponse
from ...tensor import Tensor
from .members import Member
from .plan import Plan, Step

_Call = tuple[Step, InferRequest]


class EnsembleRun:
    """The tensors that are there so far, and what the steps that have not run still need.

    A step runs as soon as what it needs is there: at once where its model answers here and now, side by side with
    others where they wait. Tensors pass under another name and otherwise as they are. Raises OIPError naming the step
    that failed.
    """

    __slots__ = ("_members", "_needs", "_plan", "_request", "_tensors", "_wanted")

    def __init__(self, plan: Plan, members: Mapping[Step, Member], request: InferRequest) -> None:
        """Raises InvalidArgumentError where ``request`` asks for an output that the ensemble does not have."""
        self._plan = plan
        self._members = members
        self._request = request
        self._needs = plan.needs.copy()
        self._tensors: dict[str, Tensor] = {tensor.name: tensor for tensor in request.inputs}
        self._wanted = plan.wanted(request.outputs)

    async def all(self, but: Step | None = None) -> None:
        """Run every step, or all ``but`` one that no other needs."""
        if but is not None:
            self._needs[but] += 1  # nobody will ever give it
        waiting = self._advance([step for step in self._plan.first if step is not but])
        while len(waiting) == 1:
            waiting = self._advance(await self._wait(*waiting[0]))
        if not waiting:
            return
        if isinstance(asyncio.current_task(), asyncio.Task):
            await self._side_by_side(waiting)
        else:  # a wire may have begun without one
            await asyncio.get_running_loop().create_task(self._side_by_side(waiting))

    async def _side_by_side(self, waiting: list[_Call]) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for call in waiting:
                    group.create_task(self._branch(group, call))
        except BaseExceptionGroup as failures:
            raise _first(failures) from None

    async def _branch(self, group: asyncio.TaskGroup, call: _Call) -> None:
        """Wait for ``call`` and go on from it, alone or with others."""
        waiting = [call]
        while waiting:
            *others, mine = waiting
            for other in others:
                group.create_task(self._branch(group, other))
            waiting = self._advance(await self._wait(*mine))

    # -- one step ------------------------------------------------------------------------------------------------------

    def _advance(self, ready: list[Step]) -> list[_Call]:
        """Run ``ready`` and what follows as far as models answer here and now; the calls that somebody must await."""
        waiting: list[_Call] = []
        while ready:
            step = ready.pop()
            request = self._inner(step)
            try:
                response = self._members[step].infer_now(request)
            except OIPError as error:
                raise self._named(step, error) from error
            if response is None:
                waiting.append((step, request))
            else:
                ready += self._keep(step, response)
        return waiting

    async def _wait(self, step: Step, request: InferRequest) -> list[Step]:
        """The answer of ``step``; those that can run now."""
        try:
            response = await self._members[step].infer(request)
        except OIPError as error:
            raise self._named(step, error) from error
        return self._keep(step, response)

    def _inner(self, step: Step) -> InferRequest:
        """The request to the model of ``step``: what is optional and not there, it does without."""
        request, tensors = self._request, self._tensors
        inputs: list[Tensor] = []
        for name, tensor in step.inputs:
            given = tensors.get(tensor)
            if given is not None:
                inputs.append(_passed(given, name))
        parameters = request.parameters
        return InferRequest(
            step.model,
            inputs,
            step.version,
            request.id,
            step.wanted,
            parameters.copy() if parameters else {},
            request.headers,
            request.deadline,
        )

    def _keep(self, step: Step, response: InferResponse) -> list[Step]:
        """Keep what ``step`` gave; those that can run now."""
        names, tensors = step.names, self._tensors
        for tensor in response.outputs:
            name = names.get(tensor.name)
            if name is not None:
                tensors[name] = tensor
        needs, ready = self._needs, []
        for follower in self._plan.followers[step]:
            needs[follower] -= 1
            if not needs[follower]:
                ready.append(follower)
        return ready

    async def pieces(self, last: Step) -> AsyncIterator[list[Tensor]]:
        """Run the other steps, then ``last``: the ensemble's outputs with each of its answers, which may lack some."""
        await self.all(but=last)
        try:
            async with aclosing(self._members[last].stream(self._inner(last))) as answers:
                async for answer in answers:
                    for name in last.names.values():
                        self._tensors.pop(name, None)
                    self._keep(last, answer)
                    yield [_passed(self._tensors[name], name) for name in self._wanted if name in self._tensors]
        except OIPError as error:
            raise self._named(last, error) from error

    def outputs(self) -> list[Tensor]:
        """What the caller asked for, or all there is. Raises InternalError where a model left out what was asked."""
        tensors: list[Tensor] = []
        for name in self._wanted:
            tensor = self._tensors.get(name)
            if tensor is None:
                step = self._plan.producers[name]
                raise InternalError(f"in ensemble '{self._plan.name}', {step} gave no tensor '{name}'")
            tensors.append(_passed(tensor, name))
        return tensors

    def _named(self, step: Step, error: OIPError) -> OIPError:
        """``error`` as the ensemble's caller is to see it: a model that is gone is no mistake of theirs."""
        message = f"in ensemble '{self._plan.name}', {step}: {error.message}"
        if isinstance(error, NotFoundError):
            return UnavailableError(message, retry_after=1.0)
        return error_from_code(error.code, message, error.retry_after, error.status_code)


def _passed(tensor: Tensor, name: str) -> Tensor:
    """``tensor`` under another name. Its parameters are between a model and its caller."""
    if tensor.name != name or tensor.parameters:
        tensor = tensor.renamed(name)
        tensor.parameters = None
    return tensor


def _first(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    for failure in failures.exceptions:
        return _first(failure) if isinstance(failure, BaseExceptionGroup) else failure
    raise AssertionError("a group has exceptions")
