"""One inference from bytes to bytes over the data plane; knows no gRPC type, so that another front can call it."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from typing import Any, Protocol, TypeVar

from ....errors import NotFoundError
from ....plane import DataPlane
from ..convert import Parse, encode_response, encode_typed_response, is_typed, parse_infer
from ..versions import about_version

T = TypeVar("T")


class Call(Protocol):
    """What a handler may know of the call it answers."""

    headers: Mapping[str, str]

    @property
    def deadline(self) -> int | None:
        """When the caller stops waiting (``time.monotonic_ns``)."""
        ...

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """Run ``work`` on the event loop and wait for it."""
        ...

    def send_headers(self, headers: Mapping[str, str]) -> None:
        """Send ``headers`` with the answer."""
        ...


class InferHandler:
    """Answers ModelInfer, in the thread that calls it where the model can run there."""

    def __init__(self, data: DataPlane, *, typed_answers: bool = False, parse: Parse = parse_infer) -> None:
        self._data = data
        self._parse = parse
        self._typed_answers = typed_answers

    def __call__(self, data: bytes, call: Call) -> bytes:
        """The serialized ModelInferResponse to a serialized ModelInferRequest. Raises OIPError."""
        request = self._parse(data, call.headers, call.deadline)
        encode = encode_typed_response if self._typed_answers and is_typed(request) else encode_response
        try:
            plane = self._data if request.regions is None else self._data.over_regions
            response = plane.infer_here(request)
            if response is None:
                response = call.wait(plane.infer(request))
        except NotFoundError as error:
            raise about_version(error, self._data, request.model_name, request.model_version) from None
        if response.headers:
            call.send_headers(response.headers)
        return encode(response)
