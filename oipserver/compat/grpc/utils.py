"""``mlserver.grpc.utils``: metadata of calls as headers, and back; knows no service."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def to_headers(context: Any) -> dict[str, str]:
    """The metadata that came with the call ``context`` stands for."""
    trailing = context.trailing_metadata() if hasattr(context, "trailing_metadata") else None
    return {item.key: item.value for item in (*(context.invocation_metadata() or ()), *(trailing or ()))}


def to_metadata(headers: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """``headers`` in the form that gRPC takes: names in lower case."""
    return tuple((name.lower(), value) for name, value in headers.items())
