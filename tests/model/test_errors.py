"""Errors a model's code raises: their statuses, codes and texts."""

from __future__ import annotations

from typing import Any

import pytest

from oipserver.codecs.errors import CodecError
from oipserver.errors import (
    Code,
    InferenceError,
    InvalidModelURI,
    MLServerError,
    ModelNotFound,
    ModelNotReady,
    ModelParametersMissing,
    OIPError,
    error_from_code,
    one_line,
)


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (MLServerError("no"), 400, "no"),
        (InferenceError("no"), 400, "no"),
        (InvalidModelURI("m"), 422, "Invalid URI specified for model m"),
        (InvalidModelURI("m", "./x"), 422, "Invalid URI specified for model m (./x)"),
        (ModelNotFound("m"), 404, "Model m not found"),
        (ModelNotFound("m", "2"), 404, "Model m with version 2 not found"),
        (ModelNotReady("m"), 400, "Model m is not ready yet."),
        (ModelNotReady("m", "2"), 400, "Model m with version 2 is not ready yet."),
        (ModelParametersMissing("m"), 400, "Parameters missing for model m"),
        (CodecError("no"), 400, "There was an error encoding / decoding the payload: no"),
    ],
)
def test_statuses_and_texts(error: Any, status: int, message: str) -> None:
    assert isinstance(error, MLServerError)
    assert isinstance(error, OIPError)
    assert (error.status_code, error.message, str(error)) == (status, message, message)


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, Code.INVALID_ARGUMENT),
        (404, Code.NOT_FOUND),
        (409, Code.ALREADY_EXISTS),
        (418, Code.INVALID_ARGUMENT),
        (422, Code.INVALID_ARGUMENT),
        (429, Code.RESOURCE_EXHAUSTED),
        (500, Code.INTERNAL),
        (501, Code.UNSUPPORTED),
        (503, Code.UNAVAILABLE),
        (504, Code.DEADLINE_EXCEEDED),
        (507, Code.INTERNAL),
    ],
)
def test_every_status_has_the_nearest_code(status: int, code: Code) -> None:
    error = MLServerError("no", status_code=status)
    assert (error.code, error.status_code) == (code, status)
    crossed = error_from_code(error.code, error.message, status_code=error.status_code)
    assert (crossed.code, crossed.status_code, crossed.message) == (code, status, "no")


def test_errors_of_the_protocol_leave_the_status_to_the_wire() -> None:
    assert error_from_code(Code.NOT_FOUND, "no").status_code is None


@pytest.mark.parametrize(
    ("said", "line"),
    [("no", "no"), ("  no\n\n  such\tthing ", "no such thing"), ("", "ValueError"), ("x" * 501, "x" * 500 + "...")],
)
def test_what_libraries_say_is_one_line(said: str, line: str) -> None:
    assert one_line(ValueError(said)) == line
