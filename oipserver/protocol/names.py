"""What may be called a model or a version of one, on every wire and in every folder; knows neither wire nor folder."""

from __future__ import annotations

import re

# Where we keep things of our own beside models.
RESERVED_PREFIX = ".oipserver"

# Names are parts of URLs and of paths, and they stand in logs and tables: no slash, nothing that ends a line or a C
# string, no surrogate (a byte of a file's name that is no UTF-8, which no message can hold).
_NEVER = r"/\\\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff"
_NAME = re.compile(rf"(?!\s*\Z|\.\.?\Z|{re.escape(RESERVED_PREFIX)})[^{_NEVER}]+")

EXPECTED_NAME = (
    f"expected anything without slashes and control characters but blanks, '.', '..' and '{RESERVED_PREFIX}...'"
)


def is_name(word: str) -> bool:
    """Whether ``word`` can name a model or a version: every URL and every folder can hold it."""
    return _NAME.fullmatch(word) is not None


def wrong_name(word: str, kind: str = "name") -> str:
    """Why ``word`` cannot be the ``kind`` ("name" or "version") of a model; "" where it can."""
    return "" if is_name(word) else f"{word!r} cannot be the {kind} of a model: {EXPECTED_NAME}"
