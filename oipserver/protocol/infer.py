"""The internal inference request and response, one tensor per input, and the times of its walk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..tensor import Parameters, Tensor

if TYPE_CHECKING:
    from .regions import Place


@dataclass(slots=True)
class RequestedOutput:
    """An output the caller named, with its parameters (``binary_data``, ``classification``, ...).

    ``into``, only where the request's ``regions`` names it: memory that a model may compute the result straight into.
    """

    name: str
    parameters: Parameters | None = None
    into: memoryview | None = None


@dataclass(slots=True)
class InferRequest:
    """One inference request.

    ``model_version`` and ``id`` are "" where the caller gave none; no ``outputs`` means all of them. ``headers`` are
    the transport's, lower-case. ``deadline`` is a ``time.monotonic_ns`` instant after which nobody waits any more.
    ``classes`` holds, by output, how many of its highest elements are wanted in its place. ``path`` names the models
    whose code led to it, the first caller first; () where a client asked.

    ``regions`` is not None where any tensor is in client shared memory: inputs are then PlacedTensors until they are
    read, and it holds, by output, where the result is to be put.
    """

    model_name: str
    inputs: list[Tensor]
    model_version: str = ""
    id: str = ""
    outputs: list[RequestedOutput] = field(default_factory=list)
    parameters: Parameters = field(default_factory=dict)
    headers: Mapping[str, str] | None = None
    deadline: int | None = None
    classes: dict[str, int] | None = None
    path: tuple[str, ...] = ()
    regions: dict[str, Place] | None = None


@dataclass(slots=True)
class Timings:
    """Instants of one request's walk (``time.monotonic_ns``, comparable between processes of one machine).

    queue = dispatched - received, compute_input = infer_start - dispatched, compute_infer = infer_end - infer_start,
    compute_output = finished - infer_end.
    """

    received: int = 0
    dispatched: int = 0
    infer_start: int = 0
    infer_end: int = 0
    finished: int = 0


@dataclass(slots=True)
class InferResponse:
    """One inference response. ``headers`` become transport headers; ``timings`` are filled as the request walks.

    ``final`` is set on a part of a stream that is known to be the last when it is sent.
    """

    model_name: str
    outputs: list[Tensor]
    model_version: str = ""
    id: str = ""
    parameters: Parameters | None = None
    headers: Mapping[str, str] | None = None
    timings: Timings | None = None
    final: bool = False
