"""The caller's side of a V2 call over REST: a request as it is written, an answer as it is read; knows no transport."""

from __future__ import annotations

from typing import Any

import orjson

from ..errors import InvalidArgumentError, OIPError
from .binary_form import BinaryCursor, OutputForm
from .infer import InferRequest, InferResponse
from .json_text import parse_json
from .v2_json import read_request, response_document


def write_question(request: InferRequest, *, binary: bool) -> tuple[bytes, int | None]:
    """The body of ``request``, and the length of its JSON where binary data follow it. Raises InvalidArgumentError."""
    # A request's inputs are written as an answer's outputs are.
    written = InferResponse("", request.inputs, id=request.id)
    form = OutputForm(default=True) if binary else None
    document, blobs = response_document(written, form, literals=True)
    parameters = {**request.parameters, **({"binary_data_output": True} if binary else {})}
    body: dict[str, Any] = {"id": request.id} if request.id else {}
    if parameters:
        body["parameters"] = parameters
    body["inputs"] = document["outputs"]
    if request.outputs:
        body["outputs"] = [
            {"name": output.name, **({"parameters": output.parameters} if output.parameters else {})}
            for output in request.outputs
        ]
    text = orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)
    return b"".join([text, *blobs]), len(text) if blobs else None


def read_answer(model: str, content: bytes, length: str) -> InferResponse:
    """The answer of ``model`` in ``content``; ``length`` is the text of the header that says how much of it is JSON.

    Raises InvalidArgumentError where it cannot be read.
    """
    try:
        size = int(length) if length.isdecimal() else len(content)
        return read_document(model, parse_json(content[:size]), content[size:])
    except OIPError as error:
        raise InvalidArgumentError(error.message) from None


def read_document(model: str, document: Any, blobs: bytes = b"") -> InferResponse:
    """The answer in a parsed ``document`` with its binary data behind it. Raises InvalidArgumentError."""
    try:
        # An answer's outputs are read as a request's inputs are.
        read, _ = read_request({"inputs": document["outputs"]}, model, binary=BinaryCursor(blobs, model))
        return InferResponse(
            document.get("model_name", model),
            read.inputs,
            document.get("model_version", ""),
            document.get("id", ""),
            document.get("parameters"),
        )
    except (AttributeError, KeyError, TypeError) as error:
        raise InvalidArgumentError(f"this is no answer of a model: {error!r}") from None
