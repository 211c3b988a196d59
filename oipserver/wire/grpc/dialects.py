"""The two forms that answers on ModelStreamInfer have among servers; knows no gRPC type."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ...errors import OIPError
from ...protocol import InferResponse
from ...settings.server import StreamDialect
from .convert import encode_response, encode_stream_response


@dataclass(slots=True)
class Answer:
    """One message to the client: a response, or an empty one with an ``error``. ``final``: its request gets no more.

    ``refused``: the error was found before any model was asked.
    """

    response: InferResponse
    final: bool
    error: OIPError | None = None
    refused: bool = False


#: Makes the serialized message of an answer; raises OIPError where only the end of the whole stream can tell the error.
Dialect = Callable[[Answer], bytes]


def triton(answer: Answer) -> bytes:
    """A ModelStreamInferResponse: errors travel inside, and the stream goes on."""
    response = answer.response
    response.parameters = {**(response.parameters or {}), "triton_final_response": answer.final}
    return encode_stream_response(response, answer.error.message if answer.error else "")


def mlserver(answer: Answer) -> bytes:
    """A bare ModelInferResponse, which has no place for an error."""
    if answer.error is not None:
        raise answer.error
    return encode_response(answer.response)


DIALECTS: dict[StreamDialect, Dialect] = {"triton": triton, "mlserver": mlserver}
