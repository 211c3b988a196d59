"""Arrays into a session and out of it, without copies where onnxruntime allows; knows no request."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from threading import Lock
from typing import Any

import numpy as np

from oipserver import Tensor
from oipserver.errors import InvalidArgumentError

from .graph import Graph, GraphTensor
from .names import CPU

Array = np.ndarray[Any, Any]
#: Computes the named outputs of the graph.
Execution = Callable[[list[str], Sequence[Tensor]], list[Array]]

#: Where onnxruntime's own allocations begin; kernels may count on it.
_ALIGNMENT = 64

_DTYPES = {
    "BOOL": "|b1",
    "UINT8": "|u1",
    "UINT16": "<u2",
    "UINT32": "<u4",
    "UINT64": "<u8",
    "INT8": "|i1",
    "INT16": "<i2",
    "INT32": "<i4",
    "INT64": "<i8",
    "FP16": "<f2",
    "BF16": "<u2",
    "FP32": "<f4",
    "FP64": "<f8",
}


def execution_for(session: Any, graph: Graph, provider: str, run_options: Any) -> Execution:
    """The cheapest way to run ``session``.

    On the CPU that is ``session.run`` (IO binding costs twice as much a call there). On a device, binding lets
    onnxruntime copy straight from and to our buffers. BF16 has no numpy type and passes by binding alone, text by
    ``session.run`` alone.
    """
    datatypes = graph.datatypes
    if "BF16" in datatypes or (provider != CPU and "BYTES" not in datatypes):
        return BoundExecution(session, graph, run_options)
    if "BYTES" in datatypes:
        return TextExecution(session, run_options)
    return PlainExecution(session, run_options)


class SpreadExecution:
    """Several executions of one graph, each in a session of its own; every call goes to the one with the fewest."""

    def __init__(self, executions: Sequence[Execution]) -> None:
        self._executions = executions
        self._busy = [0] * len(executions)
        self._lock = Lock()

    def __call__(self, names: list[str], inputs: Sequence[Tensor]) -> list[Array]:
        with self._lock:
            index = self._busy.index(min(self._busy))
            self._busy[index] += 1
        try:
            return self._executions[index](names, inputs)
        finally:
            with self._lock:
                self._busy[index] -= 1


class PlainExecution:
    """``session.run`` on arrays as they are."""

    def __init__(self, session: Any, run_options: Any) -> None:
        # What session.run looks for first, the server has looked for already: names that are missing, values of a
        # device. That costs as much as running a tiny graph.
        self._run = getattr(getattr(session, "_sess", None), "run", session.run)
        self._run_options = run_options

    def __call__(self, names: list[str], inputs: Sequence[Tensor]) -> list[Array]:
        feed: dict[str, Array] = {}
        for tensor in inputs:
            array = tensor.array
            # A view into a request's body can start at any byte; kernels may use instructions that fault on those.
            feed[tensor.name] = array if array.flags.aligned else array.copy()
        outputs: list[Array] = self._run(names, feed, self._run_options)
        return outputs


class TextExecution(PlainExecution):
    """``session.run`` for graphs with strings: UTF-8 bytes outside, ``str`` inside.

    onnxruntime writes a bytes object down as its Python form (``b'...'``) and cuts fixed-width arrays at the first NUL:
    only object arrays of str arrive as they are.
    """

    def __call__(self, names: list[str], inputs: Sequence[Tensor]) -> list[Array]:
        decoded = [
            Tensor(tensor.name, "BYTES", tensor.shape, array=_decoded(tensor)) if tensor.datatype == "BYTES" else tensor
            for tensor in inputs
        ]
        outputs = super().__call__(names, decoded)
        return [_encoded(array) if array.dtype.kind == "O" else array for array in outputs]


def _decoded(tensor: Tensor) -> Array:
    elements = tensor.array.reshape(-1).tolist()
    decoded = np.empty(len(elements), dtype=object)
    try:
        for index, element in enumerate(elements):
            decoded[index] = element if isinstance(element, str) else bytes(element).decode()
    except UnicodeDecodeError as error:
        raise InvalidArgumentError(
            f"input '{tensor.name}' holds bytes that are not UTF-8 text at element {index} ({error.reason}); "
            "onnxruntime takes strings as text"
        ) from None
    return decoded.reshape(tensor.shape)


def _encoded(array: Array) -> Array:
    elements = array.reshape(-1).tolist()
    encoded = np.empty(len(elements), dtype=object)
    for index, element in enumerate(elements):
        encoded[index] = element.encode()
    return encoded.reshape(array.shape)


class BoundExecution:
    """IO binding: inputs are read where they lie, outputs are views of onnxruntime's memory, or of targets."""

    def __init__(self, session: Any, graph: Graph, run_options: Any) -> None:
        self._session = session
        self._inputs = {tensor.name: tensor for tensor in graph.inputs}
        self._outputs = {tensor.name: tensor for tensor in graph.outputs}
        self._run_options = run_options

    def __call__(
        self, names: list[str], inputs: Sequence[Tensor], targets: Mapping[str, memoryview] | None = None
    ) -> list[Array]:
        """Compute ``names``; into the beginning of its target each that is known to fit."""
        if not targets:
            return self._computed(names, inputs, {})
        filled = self._filled(inputs, targets)
        try:
            return self._computed(names, inputs, filled)
        except Exception:
            if not filled:
                raise
            # The names of the graph's dimensions may not hold. What else it may be shows now; its text does not tell.
            return self._computed(names, inputs, {})

    def _filled(self, inputs: Sequence[Tensor], targets: Mapping[str, memoryview]) -> dict[str, Array]:
        """The targets that can be bound, as arrays of their outputs' shapes: fixed ones, or named as inputs' are."""
        sizes: dict[int | str | None, int] = {}
        for tensor in inputs:
            expected = self._inputs.get(tensor.name)
            if expected is not None and len(expected.dims) == len(tensor.shape):
                sizes.update(zip(expected.dims, tensor.shape, strict=True))
        sizes.pop(None, None)
        filled = {}
        for name, target in targets.items():
            output = self._outputs[name]
            shape = tuple(dim if isinstance(dim, int) else sizes.get(dim, 0) for dim in output.dims)
            array = _within(target, shape, np.dtype(_DTYPES[output.datatype]))
            if array is not None:
                filled[name] = array
        return filled

    def _computed(self, names: list[str], inputs: Sequence[Tensor], filled: Mapping[str, Array]) -> list[Array]:
        binding = self._session.io_binding()  # one a call: several threads run at once
        bound = []  # a binding holds addresses, not arrays
        for tensor in inputs:
            array = _readable(tensor, self._inputs.get(tensor.name))
            bound.append(array)
            binding.bind_input(
                tensor.name,
                "cpu",
                0,
                self._inputs[tensor.name].element_type,
                list(tensor.shape),
                array.__array_interface__["data"][0],
            )
        for name in names:
            target = filled.get(name)
            if target is None:
                binding.bind_output(name, "cpu")
            else:
                address, kind = target.__array_interface__["data"][0], self._outputs[name].element_type
                binding.bind_output(name, "cpu", 0, kind, list(target.shape), address)
        self._session.run_with_iobinding(binding, self._run_options)
        values = binding.get_outputs()
        return [
            filled[name] if name in filled else _view(value, self._outputs[name], binding)
            for name, value in zip(names, values, strict=True)
        ]


def _within(target: memoryview, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array | None:
    """An array at the beginning of ``target``; None where it is too small, begins where no allocation would, or
    ``shape`` is not known to be of any elements."""
    count = math.prod(shape) if all(dim > 0 for dim in shape) else 0
    if not 0 < count * dtype.itemsize <= target.nbytes:
        return None
    array = np.frombuffer(target, dtype, count).reshape(shape)
    return None if array.__array_interface__["data"][0] % _ALIGNMENT else array


def _readable(tensor: Tensor, expected: GraphTensor | None) -> Array:
    """The array of ``tensor``, contiguous and aligned: its memory is read as the graph's type, whatever it holds."""
    if expected is None or tensor.datatype != expected.datatype:
        raise InvalidArgumentError(f"input '{tensor.name}' of {tensor.datatype} is not what the model takes")
    array = np.ascontiguousarray(tensor.array, dtype=_DTYPES[expected.datatype])
    return array if array.flags.aligned else array.copy()


class _Memory:
    """Lets an array view the memory of an onnxruntime value and keeps that value alive."""

    __slots__ = ("__array_interface__", "_owners")

    def __init__(self, interface: dict[str, Any], *owners: Any) -> None:
        self.__array_interface__ = interface
        self._owners = owners


def _view(value: Any, expected: GraphTensor, binding: Any) -> Array:
    shape, dtype = tuple(value.shape()), _DTYPES[expected.datatype]
    if 0 in shape:
        return np.empty(shape, dtype)
    interface = {"data": (value.data_ptr(), False), "shape": shape, "typestr": dtype, "version": 3}
    return np.asarray(_Memory(interface, value, binding))
