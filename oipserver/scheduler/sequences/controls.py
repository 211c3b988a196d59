"""The inputs by which a model is told of the sequence a request belongs to; knows no queue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...errors import InvalidArgumentError, ModelLoadError
from ...tensor import Datatype, Tensor
from ..fields import Json, datatype, numbers
from .mark import CorrelationId, SequenceMark

_FLAGS = {
    "CONTROL_SEQUENCE_START": "start",
    "CONTROL_SEQUENCE_READY": "ready",
    "CONTROL_SEQUENCE_END": "end",
}
_ID = "CONTROL_SEQUENCE_CORRID"
_KINDS = (*_FLAGS, _ID)  # in the order of their numbers
_FALSE_TRUE = {"int32_false_true": "INT32", "fp32_false_true": "FP32", "bool_false_true": "BOOL"}
_ID_TYPES = ("UINT64", "INT64", "UINT32", "INT32", "BYTES")


@dataclass(frozen=True, slots=True)
class _Flag:
    """A control that has one of two values."""

    kind: str
    false: Tensor
    true: Tensor


@dataclass(frozen=True, slots=True)
class _Id:
    """A control that holds the correlation id."""

    name: str
    datatype: Datatype
    shape: tuple[int, ...]

    def tensor(self, value: CorrelationId, model: str) -> Tensor:
        """The id as the model wants it. Raises InvalidArgumentError where it cannot be had in that datatype."""
        kind = self.datatype.name
        if kind == "BYTES":
            if not isinstance(value, str):
                raise self._mistake(value, model, "a text")
            element: Any = value.encode(errors="surrogatepass")
            array = np.empty(self.shape, dtype=object)
            array[...] = element
            return Tensor(self.name, kind, self.shape, array)
        if not isinstance(value, int):
            raise self._mistake(value, model, "a number")
        limits = np.iinfo(self.datatype.dtype)
        if value > limits.max:
            raise self._mistake(value, model, f"a number up to {limits.max}")
        return Tensor(self.name, kind, self.shape, np.full(self.shape, value, self.datatype.dtype))

    def _mistake(self, value: CorrelationId, model: str, wanted: str) -> InvalidArgumentError:
        came = "a text" if isinstance(value, str) else "a number" if wanted == "a text" else "a larger one"
        return InvalidArgumentError(
            f"model '{model}' takes its correlation ID as {self.datatype.name} (control '{self.name}'): "
            f"'sequence_id' must be {wanted}, got {came}"
        )


class Controls:
    """The control inputs of one model, each of one element per row."""

    def __init__(self, declared: Sequence[Json], batched: bool, model: str) -> None:
        """From ``sequence_batching.control_input``. Raises ModelLoadError naming the model and the control."""
        self._model = model
        self._shape = (1, 1) if batched else (1,)
        self._flags: list[_Flag] = []
        self._ids: list[_Id] = []
        for control_input in declared:
            name = str(control_input.get("name") or "")
            kinds = numbers(control_input, "control")
            if not name or len(kinds) != 1:
                raise ModelLoadError(
                    f"sequence batching control '{name}' of model '{model}' must have a name and exactly one 'control'"
                )
            self._add(name, kinds[0])

    def _add(self, name: str, control: Json) -> None:
        told = control.get("kind") or _KINDS[0]  # the first of an enumeration is what is left unsaid
        kind = _KINDS[told] if isinstance(told, int) and 0 <= told < len(_KINDS) else str(told)
        of = f"sequence batching control '{name}' of model '{self._model}'"
        if kind == _ID:
            found = datatype(control.get("data_type"), of)
            if found.name not in _ID_TYPES:
                raise ModelLoadError(f"{of}: a correlation ID must be of {', '.join(_ID_TYPES)}, not {found.name}")
            self._ids.append(_Id(name, found, self._shape))
        elif kind in _FLAGS:
            self._flags.append(self._flag(name, _FLAGS[kind], control, of))
        else:
            raise ModelLoadError(f"{of}: unknown kind '{told}'")

    def _flag(self, name: str, kind: str, control: Json, of: str) -> _Flag:
        given = {form: values for form in _FALSE_TRUE if (values := numbers(control, form))}
        if len(given) != 1 or len(next(iter(given.values()))) != 2:
            raise ModelLoadError(f"{of}: must specify exactly one of {', '.join(_FALSE_TRUE)}, with two values")
        ((form, (false, true)),) = given.items()
        found = datatype(_FALSE_TRUE[form], of)
        return _Flag(kind, *[self._constant(name, found, value) for value in (false, true)])

    def _constant(self, name: str, found: Datatype, value: Any) -> Tensor:
        return Tensor(name, found.name, self._shape, np.full(self._shape, value, found.dtype))

    @property
    def names(self) -> list[str]:
        """The inputs that are given by the server."""
        return [flag.true.name for flag in self._flags] + [control.name for control in self._ids]

    def identity(self, correlation: CorrelationId) -> list[Tensor]:
        """The inputs that hold ``correlation``. Raises InvalidArgumentError where the model takes no such id."""
        return [control.tensor(correlation, self._model) for control in self._ids]

    def flags(self, mark: SequenceMark) -> list[Tensor]:
        """The inputs that tell of a request that is there, whether it starts and whether it ends its sequence."""
        values = {"start": mark.start, "ready": True, "end": mark.end}
        return [flag.true if values[flag.kind] else flag.false for flag in self._flags]
