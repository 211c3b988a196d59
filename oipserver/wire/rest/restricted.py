"""APIs that need a header over REST; a server without any such has none of this in its way."""

from __future__ import annotations

import re

from starlette.types import ASGIApp, Receive, Scope, Send

from ...settings import Settings
from ..restricted import Needed, restricted_apis
from .asgi_door import send_reply
from .errors import message_reply
from .headers import HeaderView
from .reply import Reply

_MODEL = r"/models/[^/]+(?:/versions/[^/]+)?"
_PATHS = {
    "inference": _MODEL + r"/(?:infer|generate|infer_stream|generate_stream)",
    "health": rf"/health/(?:live|ready)|{_MODEL}/ready",
    "model-config": _MODEL + r"/config",
    "statistics": rf"/models/stats|{_MODEL}/stats",
    "trace": rf"/trace/setting|{_MODEL}/trace/setting",
    "logging": r"/logging",
    "model-repository": r"/repository/.*",
    "shared-memory": r"/(?:system|cuda)sharedmemory/.*",
    "metadata": rf"/?|/models|{_MODEL}",
}
# Those of MLflow's scoring server.
_SCORING = re.compile(r"(?P<inference>/(?:models/[^/]+/)?invocations)|(?P<health>/(?:ping|health))")
_API = re.compile(
    "(?:^|/)v2(?:" + "|".join(f"(?P<{api.replace('-', '_')}>{path})" for api, path in _PATHS.items()) + ")$"
)


def api_of(path: str) -> str | None:
    """The API that ``path`` belongs to; None for pages and custom handlers, which are of none."""
    found = _API.search(path) or _SCORING.fullmatch(path)
    return found.lastgroup.replace("_", "-") if found is not None and found.lastgroup else None


def restrictions(settings: Settings) -> dict[str, Needed]:
    """What each restricted API needs. Raises InvalidArgumentError."""
    return restricted_apis("http_restricted_api", settings.http_restricted_api)


def refusal(needed: Needed) -> Reply:
    """What callers get who do not know what is ``needed``."""
    return message_reply(403, f"This API is restricted, expecting header '{needed.header}'")


class RestrictedLayer:
    """An ASGI layer that refuses callers who do not know what ``needed`` says of the API they ask for."""

    def __init__(self, app: ASGIApp, needed: dict[str, Needed]) -> None:
        self._app = app
        self._needed = needed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        needed = self._needed.get(api_of(scope["path"]) or "") if scope["type"] == "http" else None
        if needed is not None and not needed.given(HeaderView(list(scope["headers"]))):
            await send_reply(refusal(needed), send)
        else:
            await self._app(scope, receive, send)
