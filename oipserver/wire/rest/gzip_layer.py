"""gzip for what people and dashboards read; knows which answers clients of the protocol take as they come."""

from __future__ import annotations

import re

from starlette.middleware.gzip import GZipMiddleware
from starlette.types import Receive, Scope, Send

# Triton's asyncio client asks for gzip in every request, but unpacks answers to infer alone: those are compressed
# elsewhere. What else it asks for leaves as it is.
_PROTOCOL = re.compile(r"(?:^|/)v2(?:/(?!docs(?:/|$))(?!.*/docs(?:/|$)).*)?$")


class GzipLayer(GZipMiddleware):
    """Compresses documents, the metrics and custom handlers' answers for clients that accept it."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and _PROTOCOL.search(scope["path"]):
            await self.app(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)
