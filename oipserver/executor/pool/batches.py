"""Several requests and their answers in one frame each, for models that take lists; knows no process."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

from ...errors import Code, OIPError, error_from_code
from ...protocol import InferRequest, InferResponse, Timings
from ...tensor import Tensor
from . import messages
from .frames import FrameError
from .memory import Half
from .messages import Block, Cost, Hold

Outcome = InferResponse | OIPError


def tensors_of(members: Sequence[InferRequest]) -> list[Tensor]:
    """The inputs of all requests, one request after the other."""
    return [*chain.from_iterable(request.inputs for request in members)]


def write_requests(requests: Sequence[InferRequest], block: Block) -> list[Any]:
    """Metadata of requests whose inputs lie in ``block``."""
    return [block.plan, [messages.request_items(request) for request in requests]]


def read_requests(
    meta: Sequence[Any], inline: memoryview, half: Half, hold: Hold, name: str, version: str
) -> list[InferRequest]:
    """The requests that ``write_requests`` was given. Raises FrameError."""
    plan, members = meta
    described = [*chain.from_iterable(items[0] for items in members)]
    tensors = iter(messages.find(described, plan, inline, half, hold))
    return [messages.request_of([next(tensors) for _ in items[0]], items[1:], name, version) for items in members]


def outputs_of(outcomes: Sequence[Outcome]) -> list[Tensor]:
    """The outputs of all answers, one answer after the other."""
    return [*chain.from_iterable(one.outputs for one in outcomes if isinstance(one, InferResponse))]


def write_outcomes(outcomes: Sequence[Outcome], block: Block) -> list[Any]:
    """Metadata of answers whose outputs lie in ``block``; the first item as in ``messages.write_response``."""
    return [False, block.plan, [_told(outcome) for outcome in outcomes], *_times(outcomes)]


def _told(outcome: Outcome) -> list[Any]:
    if isinstance(outcome, OIPError):
        return [None, outcome.code.value, outcome.message, outcome.retry_after, outcome.status_code]
    parameters = outcome.parameters and messages.write_parameters(outcome.parameters)
    return [messages.describe(outcome.outputs), parameters, dict(outcome.headers) if outcome.headers else None]


def _times(outcomes: Sequence[Outcome]) -> list[int]:
    for outcome in outcomes:
        if isinstance(outcome, InferResponse) and outcome.timings is not None:
            return [outcome.timings.infer_start, outcome.timings.infer_end]
    return [0, 0]


def read_outcomes(
    meta: Sequence[Any], inline: memoryview, half: Half, hold: Hold, requests: Sequence[InferRequest]
) -> tuple[list[Outcome], Cost]:
    """The answers to ``requests`` that ``write_outcomes`` was given, and their cost. Raises FrameError."""
    try:
        _, plan, told, start, end = meta
        if len(told) != len(requests):
            raise FrameError(f"{len(told)} answers to {len(requests)} requests")
        described = [*chain.from_iterable(one[0] for one in told if one[0] is not None)]
        tensors = iter(messages.find(described, plan, inline, half, hold))
        outcomes = [
            _outcome(one, tensors, request, Timings(infer_start=int(start), infer_end=int(end)))
            for one, request in zip(told, requests, strict=True)
        ]
    except (ValueError, TypeError, IndexError) as error:
        raise FrameError(f"answers that cannot be read: {error}") from None
    return outcomes, Cost(end - start)


def _outcome(told: Sequence[Any], tensors: Any, request: InferRequest, timings: Timings) -> Outcome:
    if told[0] is None:
        _, code, message, retry_after, status = told
        return error_from_code(Code(code), message, retry_after, status)
    described, parameters, headers = told
    outputs = [next(tensors) for _ in described]
    return InferResponse(
        request.model_name,
        outputs,
        request.model_version,
        request.id,
        parameters and messages.read_parameters(parameters),
        headers,
        timings,
    )
