"""Other models, as a model's code calls them; knows no server and no worker, only somebody who passes calls on."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing
from contextvars import ContextVar
from time import monotonic_ns
from typing import Any, Protocol, overload

import numpy as np

from .errors import InvalidArgumentError, UnsupportedError
from .protocol import InferRequest, InferResponse, RequestedOutput
from .tensor import Parameters, Tensor
from .types import InferenceRequest, InferenceResponse
from .types.outgoing import request_from_public, response_to_public

Inputs = Mapping[str, "np.ndarray[Any, Any] | Tensor"] | Sequence[Tensor]

#: The request that this task or thread executes, where its model may call others.
executing: ContextVar[InferRequest | None] = ContextVar("oipserver_executing", default=None)

# What ties a call to its caller's trace; everything else in the caller's headers is for the caller.
_TRACE_HEADERS = frozenset({"traceparent", "tracestate", "baggage", "b3", "x-request-id", "x-correlation-id"})
_TRACE_PREFIX = "x-b3-"


class Caller(Protocol):
    """Who passes a call on to another model's scheduler, wherever that is. Raises OIPError and nothing else."""

    async def infer(self, request: InferRequest) -> InferResponse:
        """The answer of the model that ``request`` names."""
        ...

    def stream(self, request: InferRequest) -> AsyncGenerator[InferResponse, None]:
        """Its answers, as they come."""
        ...

    async def ready(self, name: str, version: str) -> bool:
        """Whether a model would accept a request; False also for one that is not there."""
        ...

    async def load(self, name: str, config: str, files: Mapping[str, bytes]) -> None:
        """Load or reload a model, with ``config`` (JSON, "" for its own) and ``files`` in place of its own."""
        ...

    async def unload(self, name: str, dependents: bool) -> None:
        """Unload a model, with those it is made of where ``dependents``."""
        ...


def call_name(name: str, version: str) -> str:
    """How a model version is called in the path of a request."""
    return f"{name}/{version}" if version else name


def below(parent: InferRequest | None, request: InferRequest, caller: str) -> InferRequest:
    """``request``, made by the model ``caller`` while it executes ``parent``, with its deadline and trace."""
    if parent is None:
        request.path = (caller,)
        return request
    request.path = (*parent.path, caller)
    if parent.deadline is not None:
        request.deadline = parent.deadline if request.deadline is None else min(request.deadline, parent.deadline)
    if parent.headers:
        request.headers = {
            key: value
            for key, value in parent.headers.items()
            if key in _TRACE_HEADERS or key.startswith(_TRACE_PREFIX)
        } or None
    return request


class Answer(Mapping[str, np.ndarray[Any, Any]]):
    """What another model answered: its outputs as arrays by name, in order; ``outputs`` are the tensors themselves."""

    def __init__(self, response: InferResponse) -> None:
        self.model_name = response.model_name
        self.model_version = response.model_version
        self.id = response.id
        self.parameters: Parameters = response.parameters or {}
        self.outputs: list[Tensor] = response.outputs

    def __getitem__(self, name: str) -> np.ndarray[Any, Any]:
        """The output's array; BYTES as objects of bytes, BF16 as uint16. Raises KeyError naming those there are."""
        for tensor in self.outputs:
            if tensor.name == name:
                return tensor.array
        raise KeyError(f"model '{self.model_name}' answered no output '{name}', only {list(self)}")

    def __iter__(self) -> Iterator[str]:
        return iter([tensor.name for tensor in self.outputs])

    def __len__(self) -> int:
        return len(self.outputs)


class Peer:
    """One other model. Its scheduler and its executor take the call as they take a client's."""

    def __init__(self, peers: Peers, name: str, version: str) -> None:
        self.name = name
        self.version = version
        self._peers = peers

    @overload
    async def infer(self, payload: InferenceRequest, *, within: float | None = None) -> InferenceResponse: ...

    @overload
    async def infer(
        self,
        payload: Inputs | None = None,
        *,
        outputs: Sequence[str] = (),
        parameters: Parameters | None = None,
        within: float | None = None,
        **arrays: np.ndarray[Any, Any] | Tensor,
    ) -> Answer: ...

    async def infer(
        self,
        payload: InferenceRequest | Inputs | None = None,
        *,
        outputs: Sequence[str] = (),
        parameters: Parameters | None = None,
        within: float | None = None,
        **arrays: np.ndarray[Any, Any] | Tensor,
    ) -> InferenceResponse | Answer:
        """Have the model answer once: an ``InferenceRequest`` with an ``InferenceResponse``, tensors or arrays by name
        with an ``Answer``.

        No ``outputs`` means all. ``within`` is in seconds; the caller's own deadline holds anyway. Raises OIPError:
        the model's own errors as they are, NotFoundError for an unknown one, InternalError for a model that would call
        itself, however many are between.
        """
        request = self._request(payload, outputs, parameters, within, arrays)
        response = await self._peers.caller.infer(request)
        return response_to_public(response) if isinstance(payload, InferenceRequest) else Answer(response)

    async def stream(
        self,
        payload: InferenceRequest | Inputs | None = None,
        *,
        outputs: Sequence[str] = (),
        parameters: Parameters | None = None,
        within: float | None = None,
        **arrays: np.ndarray[Any, Any] | Tensor,
    ) -> AsyncGenerator[Answer, None]:
        """The model's answers, as they come; see ``infer``. Close it where not all of them are wanted."""
        request = self._request(payload, outputs, parameters, within, arrays)
        async with aclosing(self._peers.caller.stream(request)) as responses:
            async for response in responses:
                yield Answer(response)

    async def ready(self) -> bool:
        """Whether the model would accept a request now."""
        return await self._peers.caller.ready(self.name, self.version)

    def _request(
        self,
        payload: InferenceRequest | Inputs | None,
        outputs: Sequence[str],
        parameters: Parameters | None,
        within: float | None,
        arrays: Mapping[str, np.ndarray[Any, Any] | Tensor],
    ) -> InferRequest:
        if isinstance(payload, InferenceRequest):
            request = request_from_public(payload, self.name)
        else:
            wanted = [RequestedOutput(name) for name in outputs]
            tensors = [*_tensors(payload or {}), *_tensors(arrays)]
            request = InferRequest(self.name, tensors, outputs=wanted, parameters=dict(parameters or {}))
        request.model_version = self.version
        if within is not None:
            request.deadline = monotonic_ns() + int(within * 1e9)
        return below(executing.get(), request, self._peers.owner)


def _tensors(inputs: Inputs) -> list[Tensor]:
    if isinstance(inputs, Mapping):
        return [
            given.renamed(name) if isinstance(given, Tensor) else Tensor.from_array(name, np.asarray(given))
            for name, given in inputs.items()
        ]
    for given in inputs:
        if not isinstance(given, Tensor):
            raise InvalidArgumentError(f"expected tensors, or arrays by name, as inputs; got {type(given).__name__}")
    return list(inputs)


class Peers:
    """The other models of the server, as the model ``owner`` finds them: ``models("name")``."""

    def __init__(self, caller: Caller | None, owner: str) -> None:
        self._caller = caller
        self.owner = owner

    @property
    def caller(self) -> Caller:
        """Who passes calls on. Raises UnsupportedError where the model runs outside of a server."""
        if self._caller is None:
            raise UnsupportedError(f"model '{self.owner}' cannot call other models: it does not run in a server")
        return self._caller

    def __call__(self, name: str, version: str = "") -> Peer:
        """The model called ``name``; no version means its default one. It need not be loaded yet."""
        return Peer(self, name, version)
