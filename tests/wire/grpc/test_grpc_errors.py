"""Codes and trailing metadata."""

from __future__ import annotations

import grpc
import pytest

from oipserver.errors import Code, UnavailableError
from oipserver.wire.grpc.errors import STATUS, details, response_metadata, retry_metadata


def test_every_code_has_a_status() -> None:
    assert set(STATUS) == set(Code)
    for code, status in STATUS.items():
        expected = grpc.StatusCode.UNIMPLEMENTED if code is Code.UNSUPPORTED else grpc.StatusCode[code.name]
        assert status is expected


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
