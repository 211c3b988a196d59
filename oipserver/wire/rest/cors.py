"""Which headers let a browser's script read an answer; knows no server. Preflights are the web framework's."""

from __future__ import annotations

import re

from ...settings import CORSSettings
from .headers import RawHeaders


class CrossOrigin:
    """Decides by the server's cross-origin settings."""

    def __init__(self, settings: CORSSettings) -> None:
        self._everybody = "*" in settings.allow_origins and not settings.allow_credentials
        self._anybody = "*" in settings.allow_origins
        self._origins = frozenset(settings.allow_origins)
        self._pattern = re.compile(settings.allow_origin_regex) if settings.allow_origin_regex else None
        self._always = b""
        if settings.allow_credentials:
            self._always += b"access-control-allow-credentials: true\r\n"
        if settings.expose_headers:
            self._always += b"access-control-expose-headers: %b\r\n" % ", ".join(settings.expose_headers).encode()

    def lines(self, headers: RawHeaders) -> bytes:
        """Complete header lines for the answer to a request with ``headers``."""
        origin = next((value for name, value in headers if name == b"origin"), None)
        if origin is None:
            return b"" if self._everybody else b"vary: Origin\r\n"
        if self._everybody:
            return b"access-control-allow-origin: *\r\n" + self._always
        if not self._allowed(origin.decode("latin-1")):
            return b"vary: Origin\r\n" + self._always
        return b"access-control-allow-origin: %b\r\nvary: Origin\r\n%b" % (origin, self._always)

    def _allowed(self, origin: str) -> bool:
        if self._anybody or origin in self._origins:
            return True
        return self._pattern is not None and self._pattern.fullmatch(origin) is not None
