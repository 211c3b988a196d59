"""The executor of an ensemble: no code of its own, only calls of other models; knows neither registry nor scheduler."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import ExitStack
from time import monotonic_ns

from ...errors import ModelLoadError, NotFoundError, OIPError, UnavailableError, UnsupportedError
from ...protocol import InferRequest, InferResponse, ModelMetadata, Timings
from ...runtime import ModelFace
from ...settings import ModelSettings
from ...tensor import Tensor
from ..base import Executor
from .fit import check_members
from .members import Member, Members
from .plan import Plan, Step
from .run import EnsembleRun

_SLOTS = 1024  # requests inside at once: the members' own queues bound what waits where
PLATFORM = "ensemble"


class EnsembleExecutor(Executor):
    """Runs the steps of one ensemble, each through its model's own scheduler, from leases on all of them that are held
    for the request."""

    slots = _SLOTS
    unavailable_reason = ""

    def __init__(self, settings: ModelSettings, members: Members) -> None:
        """Raises ModelLoadError where the steps do not make a whole."""
        self._settings = settings
        self._members = members
        self._plan = Plan(settings)
        self._last: Step | None = None  # which answers in pieces

    @property
    def description(self) -> str:
        count = len(self._plan.steps)
        return f"{count} step{'' if count == 1 else 's'}"

    async def load(self) -> ModelFace:
        plan = self._plan
        with ExitStack() as leases:
            members: dict[Step, Member] = {}
            for step in plan.steps:
                members[step] = self._member_to_load(step)
                leases.callback(members[step].release)
            check_members(plan, members, cached=self._settings.cache_enabled)
            self._last = self._streaming_step(members)
            labels = _labels(plan, members)
        metadata = ModelMetadata(
            self._settings.name, tuple(self._settings.versions), PLATFORM, inputs=plan.inputs, outputs=plan.outputs
        )
        decoupled = self._last is not None
        details: dict[str, object] = {"labels": labels} if labels else {}
        return ModelFace(metadata, streams=decoupled, decoupled=decoupled, details=details)

    def _member_to_load(self, step: Step) -> Member:
        name = self._settings.name
        try:
            return self._members.acquire(step.model, step.version)
        except NotFoundError as error:
            what = f"whose version {step.version} is not loaded" if step.version else "which has no loaded version"
            raise ModelLoadError(f"ensemble '{name}' depends on '{step.model}' {what}") from error
        except UnavailableError as error:
            raise ModelLoadError(
                f"ensemble '{name}' depends on '{step.model}' which has no loaded version. Model '{step.model}' "
                f"loading failed with error: {error.message}"
            ) from error

    def _streaming_step(self, members: dict[Step, Member]) -> Step | None:
        """The step whose model answers in pieces, if any. Raises ModelLoadError where other steps depend on it."""
        streaming = [step for step in self._plan.steps if members[step].face.decoupled]
        if not streaming:
            return None
        step = streaming[0]
        feeds = [tensor for _, tensor in step.outputs if tensor in self._plan.consumers]
        if len(streaming) > 1 or feeds:
            why = f"and so does {streaming[1]}" if len(streaming) > 1 else f"and other steps take its '{feeds[0]}'"
            raise self._plan.wrong(
                f"{step} answers in pieces (decoupled), {why}: only one model, behind which no other comes, may"
            )
        return step

    async def unload(self) -> None:
        """Nothing was taken."""

    async def execute(self, request: InferRequest) -> InferResponse:
        if self._last is not None:
            raise UnsupportedError(
                f"ensemble '{self._settings.name}' answers in pieces, as its {self._last} does: it needs a stream"
            )
        start = monotonic_ns()
        members = self._acquire()
        try:
            run = EnsembleRun(self._plan, members, request)
            await run.all()
            return self._answer(request, run.outputs(), start)
        finally:
            _release(members)

    def _answer(self, request: InferRequest, outputs: list[Tensor], start: int) -> InferResponse:
        timings = Timings(infer_start=start, infer_end=monotonic_ns())
        return InferResponse(request.model_name, outputs, request.model_version, request.id, timings=timings)

    async def stream(self, request: InferRequest) -> AsyncIterator[InferResponse]:
        if self._last is None:
            yield await self.execute(request)
            return
        start = monotonic_ns()
        members = self._acquire()
        try:
            run = EnsembleRun(self._plan, members, request)
            async for outputs in run.pieces(self._last):
                yield self._answer(request, outputs, start)
                start = monotonic_ns()
        finally:
            _release(members)

    def _acquire(self) -> dict[Step, Member]:
        """Every member, until the request is answered. Raises UnavailableError where one is not loaded any more."""
        members: dict[Step, Member] = {}
        for step in self._plan.steps:
            try:
                members[step] = self._members.acquire(step.model, step.version)
            except OIPError as error:
                _release(members)
                raise UnavailableError(
                    f"in ensemble '{self._settings.name}', {step}: {error.message}", retry_after=1.0
                ) from error
        return members


def _release(members: dict[Step, Member]) -> None:
    for member in members.values():
        member.release()


def _labels(plan: Plan, members: dict[Step, Member]) -> dict[str, tuple[str, ...]]:
    """The labels that the members have for the outputs of the ensemble."""
    labels = {}
    for output in plan.outputs:
        step = plan.producers[output.name]
        known = members[step].face.details.get("labels") or {}
        theirs = next(name for name, tensor in step.outputs if tensor == output.name)
        if theirs in known:
            labels[output.name] = known[theirs]
    return labels
