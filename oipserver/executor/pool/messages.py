"""Requests and answers as frames: metadata as plain lists, tensor data inline or in shared memory; knows no process.

Both sides use the same code, so that what one writes the other reads. Lists instead of objects keep the JSON short; the
order is the one in which the functions here write and read them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...errors import OIPError, ResourceExhaustedError
from ...protocol import InferRequest, InferResponse, RequestedOutput, Timings
from ...runtime.handlers import HandlerRequest, HandlerResponse
from ...tensor import DATATYPES, Tensor, element_count
from .frames import FrameError
from .memory import Half, aligned

#: Up to this many bytes of tensor data travel inside the frame: below, two copies through the socket cost less than
#: the bookkeeping of shared memory.
INLINE_BYTES = 32 << 10

#: Called with the array that keeps a message's data in shared memory in use, and with where that data starts.
Hold = Callable[[np.ndarray[Any, Any], int], None]

_NAN_KEY = "\0float"  # JSON has no NaN and no infinity; parameters may


class Block:
    """The data of one message's tensors: sizes, and where they lie."""

    __slots__ = ("inline", "plan", "start")

    def __init__(self, start: int | None, plan: list[Any], inline: list[bytes | memoryview]) -> None:
        self.start = start  # in shared memory; None where everything is inline
        self.plan = plan  # what the other side must know: [start or -1, size of each tensor...]
        self.inline = inline


def place(tensors: Sequence[Tensor], half: Half) -> Block:
    """Put the data of ``tensors`` where the other side finds it, with one copy.

    Raises ResourceExhaustedError where shared memory is full, ValueError where a tensor's data is not what its
    datatype and shape say.
    """
    sizes = [_size(tensor) for tensor in tensors]
    if sum(sizes) <= INLINE_BYTES:
        return Block(None, [-1, *sizes], [tensor.raw for tensor in tensors])
    total = sum(map(aligned, sizes))
    start = half.allocate(total)
    if start is None:
        raise ResourceExhaustedError(
            f"{total} bytes of tensors do not fit the memory shared with a worker now "
            f"({half.capacity} bytes, {half.used} in use); try later",
            retry_after=1.0,
        )
    try:
        target = half.view(start, total)
        offset = 0
        for tensor, size in zip(tensors, sizes, strict=True):
            if size:
                _copy(tensor, target[offset : offset + size])
            offset += aligned(size)
    except BaseException:
        half.free(start)
        raise
    return Block(start, [start, *sizes], [])


def _size(tensor: Tensor) -> int:
    """Bytes of the raw form, checked against datatype and shape."""
    itemsize = DATATYPES[tensor.datatype].itemsize
    if not itemsize:
        return tensor.nbytes
    expected = element_count(tensor.shape, tensor.name) * itemsize
    actual = tensor.nbytes if tensor.has_raw else tensor.array.size * itemsize
    if actual != expected:
        raise ValueError(f"tensor '{tensor.name}' holds {actual} bytes, but its shape {list(tensor.shape)} {expected}")
    return expected


def _copy(tensor: Tensor, target: np.ndarray[Any, Any]) -> None:
    dtype = DATATYPES[tensor.datatype].dtype
    if tensor.has_raw or dtype.hasobject:
        target[:] = np.frombuffer(tensor.raw, np.uint8)
    else:  # straight from the array, also where it is strided or of another byte order
        target.view(dtype).reshape(tensor.shape)[...] = tensor.array


def find(
    described: Sequence[Any],
    plan: Sequence[Any],
    inline: memoryview,
    half: Half,
    hold: Hold,
) -> list[Tensor]:
    """The tensors of a message. Inline data is copied; data in shared memory stays there, under the eyes of ``hold``.

    Raises FrameError where the parts contradict each other.
    """
    try:
        start, *sizes = plan
        if start < 0:
            pieces = _cut(inline, sizes)
        else:
            root = half.view(start, sum(map(aligned, sizes)))
            root.flags.writeable = False
            hold(root, start)
            pieces = _slices(root.data, sizes)
        return [
            Tensor.from_raw(
                name,
                DATATYPES[datatype],
                tuple(shape),
                piece,
                parameters and read_parameters(parameters),
                text=bool(text),
            )
            for (name, datatype, shape, parameters, text), piece in zip(described, pieces, strict=True)
        ]
    except (OIPError, ValueError, TypeError, KeyError, IndexError) as error:
        raise FrameError(f"tensors that contradict themselves: {error}") from None


def _cut(inline: memoryview, sizes: Sequence[int]) -> list[bytes | memoryview]:
    pieces: list[bytes | memoryview] = []
    offset = 0
    for size in sizes:
        pieces.append(bytes(inline[offset : offset + size]))
        offset += size
    return pieces


def _slices(data: memoryview, sizes: Sequence[int]) -> list[bytes | memoryview]:
    pieces: list[bytes | memoryview] = []
    offset = 0
    for size in sizes:
        pieces.append(data[offset : offset + size])
        offset += aligned(size)
    return pieces


def describe(tensors: Sequence[Tensor]) -> list[Any]:
    return [
        (
            tensor.name,
            tensor.datatype,
            tensor.shape,
            tensor.parameters and write_parameters(tensor.parameters),
            tensor.text,
        )
        for tensor in tensors
    ]


def write_parameters(parameters: dict[str, Any]) -> dict[str, Any]:
    """Parameters as JSON can hold them."""
    for value in parameters.values():
        if type(value) is float and not math.isfinite(value):
            return {
                key: {_NAN_KEY: str(value)} if isinstance(value, float) and not math.isfinite(value) else value
                for key, value in parameters.items()
            }
    return parameters


def read_parameters(parameters: dict[str, Any]) -> dict[str, Any]:
    """What ``write_parameters`` was given."""
    for key, value in parameters.items():
        if type(value) is dict and _NAN_KEY in value:
            parameters[key] = float(value[_NAN_KEY])
    return parameters


# -- requests --------------------------------------------------------------------------------------------------------


def write_request(request: InferRequest, block: Block) -> list[Any]:
    """Metadata of a request whose tensors lie in ``block``."""
    return [block.plan, *request_items(request)]


def request_items(request: InferRequest) -> list[Any]:
    """What is told of a request beside where its data lies."""
    return [
        describe(request.inputs),
        request.id,
        [(output.name, output.parameters and write_parameters(output.parameters)) for output in request.outputs],
        write_parameters(request.parameters),
        dict(request.headers) if request.headers else None,
        request.deadline,
        request.path,
    ]


def read_request(
    meta: Sequence[Any],
    inline: memoryview,
    half: Half,
    hold: Hold,
    name: str,
    version: str,
) -> InferRequest:
    """The request for model ``name`` that ``write_request`` was given. Raises FrameError."""
    plan, described, *items = meta
    return request_of(find(described, plan, inline, half, hold), items, name, version)


def request_of(inputs: list[Tensor], items: Sequence[Any], name: str, version: str) -> InferRequest:
    """The request of which ``request_items`` told all but its ``inputs``."""
    id_, outputs, parameters, headers, deadline, path = items
    return InferRequest(
        name,
        inputs,
        version,
        id_,
        [RequestedOutput(output, given and read_parameters(given)) for output, given in outputs],
        read_parameters(parameters),
        headers,
        deadline,
        path=tuple(path),
    )


# -- answers ---------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Cost:
    """How one execution spent its time, in nanoseconds: holding the worker's thread, and waiting for something else."""

    busy: int = 0
    waiting: int = 0


def write_response(response: InferResponse, block: Block, cost: Cost) -> list[Any]:
    """Metadata of an answer whose tensors lie in ``block``. The first item is for the sender: whether nothing refers
    to the request's data any more."""
    timings = response.timings or Timings()
    return [
        False,
        block.plan,
        describe(response.outputs),
        response.parameters and write_parameters(response.parameters),
        dict(response.headers) if response.headers else None,
        timings.dispatched,
        timings.infer_start,
        timings.infer_end,
        cost.busy,
        cost.waiting,
    ]


def read_response(
    meta: Sequence[Any],
    inline: memoryview,
    half: Half,
    hold: Hold,
    request: InferRequest,
) -> tuple[InferResponse, Cost]:
    """The answer to ``request`` that ``write_response`` was given, and its cost. Raises FrameError."""
    try:
        _, plan, described, parameters, headers, taken, start, end, busy, waiting = meta
        timings = Timings(dispatched=int(taken), infer_start=int(start), infer_end=int(end))
        cost = Cost(int(busy), int(waiting))
        parameters = parameters and read_parameters(parameters)
    except (ValueError, TypeError, AttributeError) as error:
        raise FrameError(f"an answer that cannot be read: {error}") from None
    outputs = find(described, plan, inline, half, hold)
    response = InferResponse(
        request.model_name, outputs, request.model_version, request.id, parameters, headers, timings
    )
    return response, cost


# -- custom handlers -------------------------------------------------------------------------------------------------

_BODY = DATATYPES["UINT8"].name


def body_tensor(body: bytes) -> Tensor:
    """A handler's body as a tensor, so that it travels like one."""
    return Tensor("body", _BODY, (len(body),), raw=body)


def write_handler_request(request: HandlerRequest, block: Block) -> list[Any]:
    """Metadata of a handler call whose body lies in ``block``."""
    return [block.plan, request.name, request.path_params, request.query, request.headers, request.repeated]


def read_handler_request(meta: Sequence[Any], inline: memoryview, half: Half, hold: Hold) -> HandlerRequest:
    """The call that ``write_handler_request`` was given; its body is a copy. Raises FrameError."""
    plan, name, path_params, query, headers, repeated = meta
    return HandlerRequest(name, path_params, query, headers, _read_body(plan, inline, half, hold), repeated)


def write_handler_response(response: HandlerResponse, block: Block) -> list[Any]:
    """Metadata of a handler's answer whose body lies in ``block``; the first item as in ``write_response``."""
    return [False, block.plan, response.status, response.media_type, response.headers]


def read_handler_response(meta: Sequence[Any], inline: memoryview, half: Half, hold: Hold) -> HandlerResponse:
    """The answer that ``write_handler_response`` was given; its body is a copy. Raises FrameError."""
    try:
        _, plan, status, media_type, headers = meta
    except (ValueError, TypeError) as error:
        raise FrameError(f"a handler's answer that cannot be read: {error}") from None
    return HandlerResponse(status, _read_body(plan, inline, half, hold), media_type, headers)


def _read_body(plan: Sequence[Any], inline: memoryview, half: Half, hold: Hold) -> bytes:
    (body,) = find([("body", _BODY, [sum(plan[1:])], None, False)], plan, inline, half, hold)
    return bytes(body.raw)
