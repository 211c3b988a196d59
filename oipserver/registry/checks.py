"""Checking a request against a model's metadata, once, before anything is queued."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import InvalidArgumentError
from ..protocol import InferRequest
from ..runtime import ModelFace
from ..tensor import Tensor


class InputCheck:
    """The inputs a model takes, ready to check requests against.

    A model that tells none takes anything, as does one that does not insist on what it tells.
    """

    def __init__(self, face: ModelFace) -> None:
        self._model = face.metadata.name
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
            raise InvalidArgumentError(
                f"expected {len(self._inputs)} inputs but got {len(seen)} inputs for model '{self._model}'. "
                f"Got input(s) {sorted(seen)}, but missing required input(s) {missing}. "
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
                f"Expected {list(expected.shape)}, got {list(tensor.shape)}"
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
