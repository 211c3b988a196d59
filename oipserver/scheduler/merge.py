"""Puts requests together along the first axis and takes answers apart again; knows no queue and no executor."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Any

import numpy as np

from ..errors import InternalError
from ..protocol import InferRequest, InferResponse, RequestedOutput, Timings
from ..tensor import DATATYPES, Tensor
from .compatible import model_headers, model_parameters


def merge(requests: Sequence[InferRequest]) -> InferRequest:
    """One request with the rows of all ``requests``, whose keys are equal, in their order.

    It has what its members agree on and nothing else: no id, no transport header. Raises InvalidArgumentError where
    raw BYTES of a member do not hold what its shape says.
    """
    first = requests[0]
    deadlines = [request.deadline for request in requests if request.deadline is not None]
    return InferRequest(
        first.model_name,
        [_join(tensors) for tensors in _columns(requests)],
        first.model_version,
        outputs=[_output(output) for output in first.outputs],
        parameters=model_parameters(first.parameters),
        headers=model_headers(first.headers) if first.headers else None,
        deadline=max(deadlines) if len(deadlines) == len(requests) else None,
    )


def _output(output: RequestedOutput) -> RequestedOutput:
    return RequestedOutput(output.name, model_parameters(output.parameters)) if output.parameters else output


def _columns(requests: Sequence[InferRequest]) -> list[list[Tensor]]:
    """The tensors of each input of the first request, one per request."""
    columns: list[list[Tensor]] = []
    for index, tensor in enumerate(requests[0].inputs):
        column: list[Tensor] = []
        for request in requests:
            other = request.inputs[index]
            if other.name != tensor.name:
                other = next(candidate for candidate in request.inputs if candidate.name == tensor.name)
            column.append(other)
        columns.append(column)
    return columns


def _join(tensors: Sequence[Tensor]) -> Tensor:
    """``tensors``, alike but for their rows, as one."""
    first = tensors[0]
    shape = (sum([tensor.shape[0] for tensor in tensors]), *first.shape[1:])
    parameters = model_parameters(first.parameters) if first.parameters else None
    array: np.ndarray[Any, Any]
    if first.datatype == "BYTES":
        # Unpacked, although packed elements could be joined as they are: a member whose lengths lie must not shift
        # another's elements into its rows. Strings of any width may be among them.
        array = np.concatenate([tensor.array for tensor in tensors], dtype=object, casting="unsafe")
    elif all(tensor.has_raw and not tensor.has_array for tensor in tensors):
        raw = b"".join([tensor.raw for tensor in tensors])
        return Tensor(first.name, first.datatype, shape, raw=raw, parameters=parameters)
    else:
        array = np.concatenate([tensor.array for tensor in tensors])
    return Tensor(first.name, first.datatype, shape, array, parameters=parameters, text=first.text)


def split(response: InferResponse, rows: Sequence[int], model: str) -> list[InferResponse]:
    """The answer to each member of a batch whose members have ``rows``: views of the outputs, no copies.

    Parameters and headers are copied for each. Raises InternalError where an output has other rows than the batch.
    """
    require_rows(response, sum(rows), model)
    ends = list(accumulate(rows))
    columns = [_slices(tensor, rows, ends) for tensor in response.outputs]
    parameters, headers, timings = response.parameters, response.headers, response.timings
    assert timings is not None, "an executor stamps every response"
    return [
        InferResponse(
            response.model_name,
            [column[index] for column in columns],
            response.model_version,
            parameters=dict(parameters) if parameters else None,
            headers=dict(headers) if headers else None,
            timings=Timings(0, timings.dispatched, timings.infer_start, timings.infer_end),
        )
        for index in range(len(rows))
    ]


def require_rows(response: InferResponse, rows: int, model: str) -> None:
    """Raises InternalError where an output does not have one row for each of the batch's."""
    for tensor in response.outputs:
        if tensor.shape[:1] != (rows,):
            raise InternalError(
                f"model '{model}' answered a batch of {rows} rows with output '{tensor.name}' of shape "
                f"{list(tensor.shape)}: expected {rows} as its first dimension. "
                "Set max_batch_size to 0 for a model that cannot be batched."
            )


def _slices(tensor: Tensor, rows: Sequence[int], ends: Sequence[int]) -> list[Tensor]:
    name, datatype, inner = tensor.name, tensor.datatype, tensor.shape[1:]
    parameters, text = tensor.parameters, tensor.text
    itemsize = DATATYPES[datatype].itemsize
    slices: list[Tensor] = []
    if itemsize and tensor.has_raw and not tensor.has_array:
        raw = memoryview(tensor.raw).cast("B")
        stride = itemsize * math.prod(inner)
        for count, end in zip(rows, ends, strict=True):
            part = raw[(end - count) * stride : end * stride]
            own = dict(parameters) if parameters else None
            slices.append(Tensor(name, datatype, (count, *inner), raw=part, parameters=own))
        return slices
    array = tensor.array
    for count, end in zip(rows, ends, strict=True):
        own = dict(parameters) if parameters else None
        slices.append(Tensor(name, datatype, (count, *inner), array[end - count : end], parameters=own, text=text))
    return slices


def pieces(request: InferRequest, rows: int, limit: int) -> list[InferRequest]:
    """``request`` of ``rows`` rows as requests of at most ``limit`` rows: views, no copies."""
    counts = [min(limit, rows - start) for start in range(0, rows, limit)]
    ends = list(accumulate(counts))
    columns = [_slices(tensor, counts, ends) for tensor in request.inputs]
    return [
        replace(
            request, inputs=[column[index] for column in columns], parameters=dict(request.parameters), regions=None
        )
        for index in range(len(counts))
    ]


def reunite(answers: Sequence[InferResponse], model: str) -> InferResponse:
    """One answer from those to the pieces of a request. Raises InternalError where they differ in their outputs."""
    first = answers[0]
    names = [tensor.name for tensor in first.outputs]
    for answer in answers:
        if [tensor.name for tensor in answer.outputs] != names:
            raise InternalError(f"model '{model}' gave different outputs for parts of one request")
    stamps = [answer.timings for answer in answers if answer.timings is not None]
    return replace(
        first,
        outputs=[_join(column) for column in zip(*[answer.outputs for answer in answers], strict=True)],
        timings=Timings(
            received=min(stamp.received for stamp in stamps),
            dispatched=min(stamp.dispatched for stamp in stamps),
            infer_start=min(stamp.infer_start for stamp in stamps),
            infer_end=max(stamp.infer_end for stamp in stamps),
        ),
    )
