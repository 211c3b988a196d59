"""``mlserver.rest.responses``: the answer of a custom handler in JSON, and events of a stream."""

from __future__ import annotations

from typing import Any

import pydantic
from starlette.responses import JSONResponse

from ...codecs.json import encode_to_json_bytes


class Response(JSONResponse):
    """JSON of whatever a model's code has: public types without what is unset, bytes as text, arrays as lists."""

    def render(self, content: Any) -> bytes:
        if isinstance(content, pydantic.BaseModel):
            content = content.model_dump(exclude_unset=True, exclude_none=True)
        return encode_to_json_bytes(content)


class ServerSentEvent:
    """One event of a stream, as this server sends them: the JSON of ``data`` and an empty line."""

    def __init__(self, data: pydantic.BaseModel) -> None:
        self.data = data

    def encode(self) -> bytes:
        """The event's bytes."""
        return b"data: %b\n\n" % bytes(Response(self.data).body)
