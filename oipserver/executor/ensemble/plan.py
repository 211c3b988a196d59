"""The steps of an ensemble as its configuration lists them, and what flows between them; knows no loaded model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...configuration import protocol_name
from ...errors import InvalidArgumentError, ModelLoadError
from ...protocol import RequestedOutput, TensorMetadata
from ...settings import ModelSettings

#: How a configuration writes "the newest version".
_LATEST = ("", "-1", "0")


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One call of a model. ``inputs`` and ``outputs`` pair the model's tensors with the ensemble's; the model is asked
    for ``wanted``."""

    number: int
    model: str
    version: str  # "" for the default one
    inputs: tuple[tuple[str, str], ...]
    outputs: tuple[tuple[str, str], ...]
    wanted: list[RequestedOutput]
    names: dict[str, str]  # of the ensemble's tensors, by the model's outputs

    def __str__(self) -> str:
        return f"step {self.number} (model '{self.model}'{f' version {self.version}' if self.version else ''})"


class Plan:
    """The steps of one ensemble, in an order in which each comes after those it needs.

    ``inputs`` and ``outputs`` are the ensemble's own, with the batch's dimension. ``producers`` and ``consumers`` have,
    for each tensor, the step that writes it and those that take it; ``followers``, for each step, those that need it.
    ``first`` need none.
    """

    def __init__(self, settings: ModelSettings) -> None:
        """Raises ModelLoadError naming the ensemble where the steps do not make a whole."""
        configuration = settings.configuration or {}
        self.name = settings.name
        self.max_batch_size = int(configuration.get("max_batch_size") or 0)
        self.inputs = tuple(self._tensors(configuration, "input"))
        self.outputs = tuple(self._tensors(configuration, "output"))
        declared = configuration["ensemble_scheduling"].get("step") or ()
        if not declared:
            raise self.wrong("must specify 'step'")
        steps = [self._step(number, step) for number, step in enumerate(declared)]
        self.consumers: dict[str, list[Step]] = {}
        for step in steps:
            for _, tensor in step.inputs:
                self.consumers.setdefault(tensor, []).append(step)
        self.producers = self._producers(steps)
        self._check_flow()
        self.steps = self._sorted(steps)
        #: How many other steps each one needs.
        self.needs = {step: len(self._needed(step)) for step in self.steps}
        self.followers = {step: [other for other in self.steps if step in self._needed(other)] for step in self.steps}
        self.first = [step for step in self.steps if not self.needs[step]]

        self._all = [tensor.name for tensor in self.outputs]

    def wanted(self, asked: Sequence[RequestedOutput]) -> list[str]:
        """The outputs to answer with: those ``asked`` for, or all. Raises InvalidArgumentError for an unknown one."""
        if not asked:
            return self._all
        names = [output.name for output in asked]
        for name in names:
            if name not in self._all:
                raise InvalidArgumentError(
                    f"unexpected inference output '{name}' for model '{self.name}', expected {self._all}"
                )
        return names

    def _needed(self, step: Step) -> set[Step]:
        return {self.producers[tensor] for _, tensor in step.inputs if tensor in self.producers}

    def wrong(self, what: str) -> ModelLoadError:
        """An error that names this ensemble."""
        return ModelLoadError(f"ensemble '{self.name}': {what}")

    def _tensors(self, configuration: Mapping[str, Any], side: str) -> Iterator[TensorMetadata]:
        batch = (-1,) if self.max_batch_size else ()
        for tensor in configuration.get(side) or ():
            name, datatype = str(tensor.get("name") or ""), protocol_name(str(tensor.get("data_type") or ""))
            if not name or not datatype:
                raise self.wrong(f"every {side} must have a 'name' and a 'data_type', got {name!r} with {datatype!r}")
            shape = (*batch, *(int(dim) for dim in tensor.get("dims") or ()))
            yield TensorMetadata(name, datatype, shape, optional=bool(tensor.get("optional")))

    def _step(self, number: int, step: Mapping[str, Any]) -> Step:
        model = str(step.get("model_name") or "")
        version = str(step.get("model_version") or "")
        if not model:
            raise self.wrong(f"must specify 'model_name' in step {number}")
        taken, given = (self._map(number, step, name) for name in ("input_map", "output_map"))
        return Step(
            number,
            model,
            "" if version in _LATEST else version,
            taken,
            given,
            [RequestedOutput(name) for name, _ in given],
            dict(given),
        )

    def _map(self, number: int, step: Mapping[str, Any], name: str) -> tuple[tuple[str, str], ...]:
        if not step.get(name):
            raise self.wrong(f"must specify '{name}' in step {number}")
        return tuple((str(theirs), str(ours)) for theirs, ours in step[name].items())

    def _producers(self, steps: list[Step]) -> dict[str, Step]:
        producers: dict[str, Step] = {}
        given = {tensor.name for tensor in self.inputs}
        for step in steps:
            for _, tensor in step.outputs:
                if tensor in given:
                    raise self.wrong(f"ensemble tensor '{tensor}' is an input, {step} cannot write it")
                if tensor in producers:
                    raise self.wrong(
                        f"ensemble tensor '{tensor}' can appear in an output map only once, it is written by "
                        f"{producers[tensor]} and {step}"
                    )
                producers[tensor] = step
        return producers

    def _check_flow(self) -> None:
        """That every tensor that is needed is there, and every input is needed."""
        given = {tensor.name for tensor in self.inputs}
        for tensor, consumers in self.consumers.items():
            if tensor not in given and tensor not in self.producers:
                raise self.wrong(
                    f"ensemble tensor '{tensor}', which {consumers[0]} needs, is neither an input nor written by a step"
                )
        for declared in self.inputs:
            if declared.name not in self.consumers:
                raise self.wrong(f"ensemble input '{declared.name}' for ensemble {self.name} is not used")
        for declared in self.outputs:
            if declared.name not in self.producers:
                raise self.wrong(f"no data will be written for ensemble output '{declared.name}'")

    def _sorted(self, steps: list[Step]) -> list[Step]:
        ordered: list[Step] = []
        known = {tensor.name for tensor in self.inputs}
        left = list(steps)
        while left:
            ready = next((step for step in left if all(tensor in known for _, tensor in step.inputs)), None)
            if ready is None:
                raise self.wrong(
                    f"circular dependency between its steps: {', '.join(map(str, left))} need each other's tensors"
                )
            left.remove(ready)
            ordered.append(ready)
            known.update(tensor for _, tensor in ready.outputs)
        return ordered
