"""What a model's configuration says about sequences, ready to be used; knows no queue and runs nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ...errors import ModelLoadError
from ...runtime import ModelFace
from ...settings import ModelSettings
from ..fields import integer, numbers
from .controls import Controls
from .state import States

_NS_PER_US = 1_000
_IDLE_US = 1_000_000
# What a backend of the configuration is called whose models read the correlation id from the request itself.
_READS_MARKS = "python"


@dataclass(frozen=True, slots=True)
class SequenceRules:
    """How the sequences of one model are run.

    A sequence that has had no request for ``idle`` nanoseconds is over. ``candidates`` sequences per execution that the
    executor can have at once hold a slot, the others wait for one. ``batched``: requests have a first dimension, of 1.
    ``answers`` are the outputs a caller gets who names none; None: all but the states. ``keeps_marks``: the model
    itself reads the sequence parameters. ``ordered``: answers leave in the order of their requests.
    """

    idle: int
    candidates: int
    batched: bool
    controls: Controls
    states: States
    answers: tuple[str, ...] | None
    keeps_marks: bool = False
    ordered: bool = False

    @property
    def given_inputs(self) -> frozenset[str]:
        """The inputs that the server gives and no client."""
        return frozenset((*self.controls.names, *self.states.inputs))

    @property
    def kept_outputs(self) -> frozenset[str]:
        """The outputs that the server keeps and no client gets."""
        return frozenset(self.states.outputs) - frozenset(self.answers or ())


def sequence_rules(settings: ModelSettings) -> SequenceRules | None:
    """The rules of a model with ``sequence_batching`` in its configuration; None for any other.

    Raises ModelLoadError naming the model and what cannot be.
    """
    configuration = settings.configuration or {}
    declared = configuration.get("sequence_batching")
    if declared is None:
        return None
    name, size = settings.name, integer(configuration, "max_batch_size")
    if declared.get("iterative_sequence"):
        raise ModelLoadError(f"model '{name}': sequence_batching.iterative_sequence is not supported")
    oldest = declared.get("oldest")
    outputs = [str(output.get("name")) for output in numbers(configuration, "output")]
    return SequenceRules(
        idle=integer(declared, "max_sequence_idle_microseconds", _IDLE_US) * _NS_PER_US,
        candidates=max(1, size) if oldest is None else integer(oldest, "max_candidate_sequences", max(1, size)),
        batched=size > 0,
        controls=Controls(numbers(declared, "control_input"), size > 0, name),
        states=States(numbers(declared, "state"), size > 0, name, settings.folder),
        answers=tuple(outputs) if outputs else None,
        keeps_marks=configuration.get("backend") == _READS_MARKS,
        ordered=bool(oldest and oldest.get("preserve_ordering")),
    )


def visible_face(face: ModelFace, settings: ModelSettings) -> ModelFace:
    """``face`` without the inputs that the server gives and the outputs that it keeps. Raises ModelLoadError."""
    rules = sequence_rules(settings)
    if rules is None:
        return face
    metadata = face.metadata
    inputs = tuple(tensor for tensor in metadata.inputs if tensor.name not in rules.given_inputs)
    outputs = tuple(tensor for tensor in metadata.outputs if tensor.name not in rules.kept_outputs)
    return replace(face, metadata=replace(metadata, inputs=inputs, outputs=outputs))


def batching_of(sequence_batching: Mapping[str, Any]) -> tuple[int, tuple[int, ...], float]:
    """How requests of different sequences gather: nanoseconds of delay, preferred sizes, and the share of the slots
    that is worth running without waiting for more (0.0 where nothing is said)."""
    oldest = sequence_batching.get("oldest")
    if oldest is not None:
        sizes = tuple(int(size) for size in numbers(oldest, "preferred_batch_size"))
        return integer(oldest, "max_queue_delay_microseconds") * _NS_PER_US, sizes, 0.0
    direct = sequence_batching.get("direct") or {}
    share = float(direct.get("minimum_slot_utilization") or 0.0)
    return integer(direct, "max_queue_delay_microseconds") * _NS_PER_US, (), share
