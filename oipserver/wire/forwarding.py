"""Headers that become parameters of requests, as the settings say; knows no wire."""

from __future__ import annotations

import re

from ..errors import InvalidArgumentError
from ..protocol import InferRequest


class HeaderForwarding:
    """Forwards headers whose whole name, in whatever case, matches ``pattern``; ``setting`` is what it comes from.

    Raises InvalidArgumentError for what is no regular expression.
    """

    def __init__(self, setting: str, pattern: str) -> None:
        try:
            self._pattern = re.compile(pattern, re.IGNORECASE)
        except re.error as error:
            raise InvalidArgumentError(f"{setting}: {pattern!r} is no regular expression: {error}") from None

    def __call__(self, request: InferRequest) -> InferRequest:
        """``request`` with its headers that match among its parameters; what it says itself stays."""
        for name, value in (request.headers or {}).items():
            if self._pattern.fullmatch(name):
                request.parameters.setdefault(name, value)
        return request
