"""Codes and trailing metadata."""

from __future__ import annotations

import grpc
import pytest

from oipserver.errors import Code, InternalError, MLServerError, UnavailableError, error_from_code
from oipserver.wire.grpc.errors import STATUS, details, response_metadata, retry_metadata, status_of


def test_every_code_has_a_status() -> None:
    assert set(STATUS) == set(Code)
    for code, status in STATUS.items():
        expected = grpc.StatusCode.UNIMPLEMENTED if code is Code.UNSUPPORTED else grpc.StatusCode[code.name]
        assert status is expected


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "INVALID_ARGUMENT"),
        (401, "UNAUTHENTICATED"),
        (403, "PERMISSION_DENIED"),
        (404, "NOT_FOUND"),
        (409, "ALREADY_EXISTS"),
        (418, "UNKNOWN"),
        (422, "FAILED_PRECONDITION"),
        (429, "RESOURCE_EXHAUSTED"),
        (500, "INTERNAL"),
        (502, "INTERNAL"),
        (503, "UNAVAILABLE"),
    ],
)
def test_statuses_that_a_model_named(status: int, code: str) -> None:
    error = MLServerError("x", status)
    assert status_of(error).name == code
    assert status_of(error_from_code(error.code, "x", status_code=status)).name == code


def test_other_errors_have_the_status_of_their_code() -> None:
    assert status_of(InternalError("x")) is grpc.StatusCode.INTERNAL


def test_retry_is_rounded_up_and_left_out_where_it_is_no_way_out() -> None:
    assert retry_metadata(UnavailableError("x")) == ()
    assert retry_metadata(UnavailableError("x", retry_after=0.0101)) == (
        ("retry-after", "1"),
        ("grpc-retry-pushback-ms", "11"),
    )


def test_long_details_are_cut() -> None:
    assert details("short") == "short"
    assert len(details("x" * 5000)) == 2000
    assert details("x" * 5000).endswith("x...")


@pytest.mark.parametrize(
    ("headers", "metadata"),
    [
        ({"X-Id": "1"}, (("x-id", "1"),)),
        ({"grpc-status": "0", "x-bin": "a", "ä": "a", "a b": "a", "": "a", "k": "ä", "l": "a\nb"}, ()),
    ],
)
def test_only_headers_that_metadata_can_carry(headers: dict[str, str], metadata: tuple[tuple[str, str], ...]) -> None:
    assert response_metadata(headers) == metadata
