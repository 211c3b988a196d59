"""Whether the models of an ensemble fit together: names, datatypes, shapes and batch sizes; runs nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ...protocol import TensorMetadata
from .members import Member
from .plan import Plan, Step


@dataclass(frozen=True, slots=True)
class _End:
    """What one end of a tensor's way says of it."""

    tensor: TensorMetadata
    whose: str


def check_members(plan: Plan, members: Mapping[Step, Member], *, cached: bool) -> None:
    """Check the model of every step against the maps and against those it exchanges tensors with; and, where answers of
    the ensemble are ``cached``, that none of them keeps state.

    A model that tells nothing of its tensors is trusted. Raises ModelLoadError naming the ensemble, the step, what was
    expected and what is there.
    """
    ends: dict[str, _End] = {
        tensor.name: _End(tensor, "the ensemble's own") for tensor in (*plan.inputs, *plan.outputs)
    }
    for step in plan.steps:
        member = members[step]
        metadata = member.face.metadata
        _check_batch(plan, step, member)
        if cached and member.settings.stateful:
            raise plan.wrong(f"response cache is not supported, since the model of {step} keeps state")
        _check_map(plan, step, "input", step.inputs, metadata.inputs, ends)
        _check_map(plan, step, "output", step.outputs, metadata.outputs, ends)
        mapped = {name for name, _ in step.inputs}
        for tensor in metadata.inputs:
            if tensor.name not in mapped and not tensor.optional:
                raise plan.wrong(f"{step}: mapping must be specified for its input '{tensor.name}'")


def _check_map(
    plan: Plan,
    step: Step,
    side: str,
    pairs: Iterable[tuple[str, str]],
    declared: Iterable[TensorMetadata],
    ends: dict[str, _End],
) -> None:
    theirs = {tensor.name: tensor for tensor in declared}
    if not theirs:
        return
    for name, tensor in pairs:
        if name not in theirs:
            raise plan.wrong(f"{step}: '{name}' is not an {side} of the model, which has {list(theirs)}")
        here = _End(theirs[name], f"{side} '{name}' of {step}")
        _check_pair(plan, tensor, ends.setdefault(tensor, here), here)


def _check_pair(plan: Plan, tensor: str, there: _End, here: _End) -> None:
    if there.tensor.datatype != here.tensor.datatype:
        raise plan.wrong(
            f"inconsistent data type: {there.tensor.datatype} is expected for ensemble tensor '{tensor}' by "
            f"{there.whose}, but {here.whose} is {here.tensor.datatype}"
        )
    one, other = there.tensor.shape, here.tensor.shape
    if len(one) != len(other) or any(a != b and -1 not in (a, b) for a, b in zip(one, other, strict=True)):
        raise plan.wrong(
            f"inconsistent shape: {list(one)} is expected for ensemble tensor '{tensor}' by {there.whose}, but "
            f"{here.whose} is {list(other)}"
        )


def _check_batch(plan: Plan, step: Step, member: Member) -> None:
    configuration = member.settings.configuration
    if configuration is None or "max_batch_size" not in configuration:
        return
    most = int(configuration["max_batch_size"] or 0)
    if plan.max_batch_size > most:
        raise plan.wrong(f"ensemble allows maximum batch size {plan.max_batch_size}, but {step} allows only {most}")
