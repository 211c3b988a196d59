"""Checking a request against a model's metadata, once, before anything is queued."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from ..errors import InvalidArgumentError
from ..protocol import InferRequest
from ..runtime import ModelFace
from ..settings import ModelSettings
from ..tensor import Tensor, shape_text
from ..tensor.packing import check_packed

_TEXT = "BYTES"
_BATCH_NOTE = (
    " NOTE: Setting a non-zero max_batch_size in the model config requires a batch dimension to be prepended to each "
    "input shape. If you want to specify the full shape including the batch dim in your input dims config, try setting "
    "max_batch_size to zero. See the model configuration docs for more info on max_batch_size."
)


def check_for(face: ModelFace, settings: ModelSettings) -> InputCheck:
    """The check of one model version: one with a configuration in Triton's form keeps to that in all it is asked."""
    if settings.configuration is None:
        return InputCheck(face)
    return ConfiguredCheck(face, settings.configuration.get("max_batch_size", 0))


class InputCheck:
    """The inputs a model takes, ready to check requests against.

    A model that tells none takes anything, as does one that does not insist on what it tells.
    """

    def __init__(self, face: ModelFace) -> None:
        self._model = face.metadata.name
        self._shape_note = ""
        inputs = face.metadata.inputs if face.strict else ()
        self._inputs = {tensor.name: tensor for tensor in inputs}
        self._order = [(tensor.name, tensor.datatype, tensor.shape) for tensor in inputs]
        self._required = frozenset(tensor.name for tensor in inputs if not tensor.optional)

    def __call__(self, request: InferRequest) -> None:
        """Raises InvalidArgumentError naming the model, the input, what was expected and what came."""
        inputs = request.inputs
        if len(inputs) == len(self._order):  # nearly always all is well, and in order: then none is there twice either
            for tensor, (name, datatype, shape) in zip(inputs, self._order, strict=True):
                if tensor.name != name or tensor.datatype != datatype or not _fits(tensor.shape, shape):
                    break
            else:
                return
        self._find_fault(inputs)

    def _find_fault(self, inputs: Sequence[Tensor]) -> None:
        seen: set[str] = set()
        for tensor in inputs:
            if tensor.name in seen:
                raise InvalidArgumentError(f"input '{tensor.name}' already exists in request for model '{self._model}'")
            seen.add(tensor.name)
            if self._inputs:
                self._check(tensor)
        if not self._required <= seen:
            missing = [name for name in self._inputs if name in self._required and name not in seen]
            least, most = len(self._required), len(self._inputs)
            expected = f"{most} inputs" if least == most else f"number of inputs between {least} and {most}"
            raise InvalidArgumentError(
                f"expected {expected} but got {len(seen)} inputs for model '{self._model}'. "
                f"Got input(s) {_listed(sorted(seen))}, but missing required input(s) {_listed(missing)}. "
                "Please provide all required input(s)."
            )

    def _check(self, tensor: Tensor) -> None:
        expected = self._inputs.get(tensor.name)
        if expected is None:
            raise InvalidArgumentError(
                f"unexpected inference input '{tensor.name}' for model '{self._model}', expected {list(self._inputs)}"
            )
        if tensor.datatype != expected.datatype:
            raise InvalidArgumentError(
                f"inference input '{tensor.name}' data-type is '{tensor.datatype}', "
                f"but model '{self._model}' expects '{expected.datatype}'"
            )
        if not _fits(tensor.shape, expected.shape):
            raise InvalidArgumentError(
                f"unexpected shape for input '{tensor.name}' for model '{self._model}'. "
                f"Expected {shape_text(expected.shape)}, got {shape_text(tensor.shape)}{self._shape_note}"
            )


class ConfiguredCheck(InputCheck):
    """The inputs and outputs of a model with a configuration; ``most`` rows may be in a batch, where it is not 0."""

    def __init__(self, face: ModelFace, most: int) -> None:
        super().__init__(face)
        self._most = most
        self._outputs = frozenset(tensor.name for tensor in face.metadata.outputs)
        self._has_text = any(tensor.datatype == _TEXT for tensor in face.metadata.inputs)
        if most:
            self._shape_note = f".{_BATCH_NOTE}"

    def __call__(self, request: InferRequest) -> None:
        """As InputCheck; also for outputs that there are none of, for a number of rows that is 0, too large, or not the
        same in all inputs, and for packed text whose lengths lie: the model's own code is not to find out."""
        super().__call__(request)
        if request.outputs and self._outputs:
            for output in request.outputs:
                if output.name not in self._outputs:
                    raise InvalidArgumentError(
                        f"unexpected inference output '{output.name}' for model '{self._model}', "
                        f"expected {sorted(self._outputs)}"
                    )
        if self._most:
            self._check_rows(request.inputs)
        if self._has_text:
            for tensor in request.inputs:
                if tensor.datatype == _TEXT and tensor.has_raw:
                    check_packed(tensor.raw, prod(tensor.shape), tensor.name)

    def _check_rows(self, inputs: Sequence[Tensor]) -> None:
        rows = inputs[0].shape[0] if inputs and inputs[0].shape else 1
        if not 0 < rows <= self._most:
            at_least = " and at least 1, got 0" if rows == 0 else ""
            raise InvalidArgumentError(
                f"inference request batch-size must be <= {self._most} for '{self._model}'{at_least}"
            )
        for tensor in inputs:
            if tensor.shape[:1] != (rows,):
                raise InvalidArgumentError(
                    f"input '{tensor.name}' batch size does not match other inputs for '{self._model}'"
                )


def _fits(shape: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    if shape == wanted:
        return True
    if len(shape) != len(wanted):
        return False
    for got, want in zip(shape, wanted, strict=True):  # a loop, not all(): on the hot path  # noqa: SIM110
        if got != want and want != -1:
            return False
    return True


def _listed(names: Sequence[str]) -> str:
    """``names`` as Triton writes them, whose clients compare its words."""
    return f"[{','.join(map(repr, names))}]"
