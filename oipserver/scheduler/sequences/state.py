"""Implicit state: what a model gives out in one request of a sequence and takes in with the next; knows no queue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np

from ...configuration import inside
from ...errors import InternalError, InvalidArgumentError, ModelLoadError
from ...protocol import InferResponse
from ...tensor import Datatype, Tensor
from ..fields import Json, datatype, dims, fits, numbers

FOLDER = "initial_state"

#: The state of one sequence: what the next request takes in, by the name of the output it came from.
State = dict[str, Tensor]


@dataclass(frozen=True, slots=True)
class _Pair:
    output: str
    datatype: Datatype
    shape: tuple[int, ...]  # as the model sees it, the batch's dimension included
    initial: Tensor  # under the input's name


class States:
    """The pairs of outputs and inputs through which one model keeps its state."""

    def __init__(self, declared: Sequence[Json], batched: bool, model: str, folder: Path) -> None:
        """From ``sequence_batching.state``; ``folder`` is the model's. Raises ModelLoadError."""
        self._model = model
        self._folder = folder
        self._batch = (1,) if batched else ()
        self._pairs = [self._pair(state) for state in declared]

    def __bool__(self) -> bool:
        return bool(self._pairs)

    @property
    def inputs(self) -> list[str]:
        """The inputs that are given by the server."""
        return [pair.initial.name for pair in self._pairs]

    @property
    def outputs(self) -> list[str]:
        """The outputs that the server keeps."""
        return [pair.output for pair in self._pairs]

    def initial(self) -> State:
        """The state of a sequence that starts."""
        return {pair.output: pair.initial for pair in self._pairs}

    def after(self, response: InferResponse) -> State:
        """The state that ``response`` leaves: copies, since outputs may be views of a batch or of shared memory.

        Raises InternalError where the model did not give it as declared.
        """
        given = {tensor.name: tensor for tensor in response.outputs}
        state: State = {}
        for pair in self._pairs:
            tensor = given.get(pair.output)
            if tensor is None:
                raise InternalError(f"model '{self._model}' gave no output '{pair.output}', which is to be its state")
            if tensor.datatype != pair.datatype.name or not fits(tensor.shape, pair.shape):
                raise InternalError(
                    f"model '{self._model}' gave its state '{pair.output}' as {tensor.datatype} {list(tensor.shape)}, "
                    f"declared is {pair.datatype.name} {list(pair.shape)}"
                )
            name = pair.initial.name
            if tensor.has_array:
                state[pair.output] = Tensor(name, tensor.datatype, tensor.shape, tensor.array.copy())
            else:
                state[pair.output] = Tensor(name, tensor.datatype, tensor.shape, raw=bytes(tensor.raw))
        return state

    # -- the beginning ---------------------------------------------------------------------------------------------

    def _pair(self, state: Json) -> _Pair:
        taken, given = str(state.get("input_name") or ""), str(state.get("output_name") or "")
        of = f"state '{taken}' of model '{self._model}'"
        if not taken or not given:
            raise ModelLoadError(f"{of}: must specify 'input_name' and 'output_name'")
        kind = datatype(state.get("data_type"), of)
        declared = dims(state)
        beginnings = numbers(state, "initial_state")
        if len(beginnings) > 1:
            raise ModelLoadError(f"{of}: must have at most one 'initial_state', got {len(beginnings)}")
        initial = self._initial(taken, kind, declared, beginnings[0] if beginnings else None, of)
        # What a state grows to is the model's business where a dimension is open.
        return _Pair(given, kind, (*self._batch, *declared), initial)

    def _initial(self, name: str, kind: Datatype, declared: tuple[int, ...], given: Json | None, of: str) -> Tensor:
        if given is None:
            return self._zeros(name, kind, tuple(1 if dim == -1 else dim for dim in declared))
        shape = dims(given)
        told = datatype(given.get("data_type"), of)
        if told != kind or not fits(shape, declared):
            raise ModelLoadError(
                f"{of}: 'initial_state' is {told.name} {list(shape)}, the state itself {kind.name} {list(declared)}"
            )
        if any(dim < 0 for dim in shape):
            raise ModelLoadError(f"{of}: every dimension of 'initial_state' must be known, got {list(shape)}")
        if file := str(given.get("data_file") or ""):
            return self._from_file(name, kind, shape, file, of)
        return self._zeros(name, kind, shape)

    def _zeros(self, name: str, kind: Datatype, inner: tuple[int, ...]) -> Tensor:
        shape = (*self._batch, *inner)
        if kind.itemsize:
            return Tensor(name, kind.name, shape, np.zeros(shape, kind.dtype))
        array = np.empty(shape, dtype=object)
        array[...] = b""
        return Tensor(name, kind.name, shape, array)

    def _from_file(self, name: str, kind: Datatype, inner: tuple[int, ...], file: str, of: str) -> Tensor:
        try:
            raw = inside(self._folder / FOLDER, file, "data_file").read_bytes()
        except InvalidArgumentError as error:
            raise ModelLoadError(f"{of}: {error.message}") from error
        except OSError as error:
            raise ModelLoadError(f"{of}: '{FOLDER}/{file}' cannot be read: {error.strerror}") from error
        needed = kind.itemsize * prod(inner)
        if kind.itemsize and len(raw) < needed:
            raise ModelLoadError(f"{of}: '{FOLDER}/{file}' must hold {needed} bytes, it has {len(raw)}")
        tensor = Tensor(name, kind.name, (*self._batch, *inner), raw=raw[:needed] if kind.itemsize else raw)
        try:
            _ = tensor.array
        except InvalidArgumentError as error:
            raise ModelLoadError(f"{of}: '{FOLDER}/{file}': {error.message}") from error
        return tensor
