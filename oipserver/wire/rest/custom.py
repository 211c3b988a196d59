"""Custom handlers of models: which one a path means, and the call; routes come and go with the models."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import parse_qs

from fastapi import FastAPI
from starlette.datastructures import URL
from starlette.exceptions import HTTPException
from starlette.routing import Match, Route, compile_path
from starlette.types import Receive, Scope, Send

from ...errors import InternalError, OIPError
from ...plane import DataPlane
from ...runtime.handlers import HandlerRequest, HandlerResponse, HandlerRoute
from ...settings import Settings
from ..names import check_model_name
from .asgi_door import send_reply
from .client import ClientLeftError, read_body, while_connected
from .compression import decompressed
from .errors import INTERNAL_MESSAGE, error_reply, message_reply
from .headers import HeaderView
from .reply import Reply, safe_headers
from .routes import MODEL, VERSION

_log = logging.getLogger(__name__)

_NAMESPACE = "/handlers"
_PARAMETER = re.compile(r"{(\w+)(?::\w+)?}")


@dataclass(frozen=True, slots=True)
class _Entry:
    """One handler and the pattern of the paths it answers."""

    model: str
    route: HandlerRoute
    path: str
    pattern: re.Pattern[str]

    def takes(self, method: str) -> bool:
        return method == self.route.method or (method == "HEAD" and self.route.method == "GET")


@dataclass(frozen=True, slots=True)
class _Template:
    """What a request is counted under."""

    path: str


def _entries(model: str, routes: list[HandlerRoute]) -> Iterator[_Entry]:
    for route in routes:
        path = "/" + route.path.lstrip("/")
        try:
            pattern, _, _ = compile_path(path)
        except (AssertionError, ValueError) as error:
            _log.warning("model '%s': handler '%s' has no path that can be served: %s", model, route.name, error)
            continue
        yield _Entry(model, route, path, pattern)


def _path(scope: Scope) -> str:
    """The path of a request, without the prefix a proxy may have left."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    return path[len(root) :] if root and path.startswith(f"{root}/") else path


def _find(entries: list[_Entry], path: str, method: str) -> tuple[_Entry, dict[str, str]]:
    """The entry for a request, and the parameters in its path. Raises HTTPException 404 or 405."""
    methods: list[str] = []
    for entry in entries:
        if found := entry.pattern.match(path):
            if entry.takes(method):
                return entry, found.groupdict()
            methods.append(entry.route.method)
    if methods:
        raise HTTPException(405, headers={"allow": ", ".join(dict.fromkeys(methods))})
    raise HTTPException(404)


def _any(entries: list[_Entry], path: str) -> bool:
    """Whether a handler of whatever method has ``path``."""
    return any(entry.pattern.match(path) for entry in entries)


class CustomHandlers:
    """Answers what no route of the server's own does, where a loaded model has a handler for it.

    Of two models with the same path the first by name has it; all of them are also found below their model's own path.
    """

    def __init__(self, plane: DataPlane, settings: Settings, is_taken: Callable[[str, str], bool]) -> None:
        """``is_taken`` tells whether the server itself answers a path and method."""
        self._plane = plane
        self._limit = settings.http_max_body_bytes
        self._is_taken = is_taken
        self._entries: list[_Entry] = []
        self._warned: set[tuple[str, str]] = set()
        plane.on_change(self._refresh)
        self._refresh()

    def _refresh(self) -> None:
        """Learn anew what is loaded."""
        found: dict[tuple[str, str], _Entry] = {}
        for model, routes in self._plane.default_handlers().items():
            for entry in _entries(model, routes):
                method, shape = entry.route.method, _PARAMETER.sub("{}", entry.path)
                if self._is_taken(_PARAMETER.sub("x", entry.path), method):
                    self._warn(entry, "the server itself")
                elif (owner := found.setdefault((method, shape), entry)) is not entry:
                    self._warn(entry, f"model '{owner.model}'")
        # Whole words before parameters: /items/all is meant where both it and /items/{name} are there.
        self._entries = sorted(found.values(), key=lambda entry: _PARAMETER.sub("\U0010ffff", entry.path))

    def _warn(self, entry: _Entry, owner: str) -> None:
        key = (f"{entry.model}.{entry.route.name}", owner)
        if key not in self._warned:
            self._warned.add(key)
            _log.warning(
                "model '%s': %s %s is answered by %s; handler '%s' is at /v2/models/%s%s%s",
                *(entry.model, entry.route.method, entry.path, owner, entry.route.name),
                *(entry.model, _NAMESPACE, entry.path),
            )

    async def of_all(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request for a path that the model chose."""
        path = _path(scope)
        if path[-1:] == "/" and not _any(self._entries, path) and _any(self._entries, path.rstrip("/")):
            location = str(URL(scope=scope).replace(path=scope["path"].rstrip("/")))
            await send_reply(Reply(307, ((b"location", location.encode("latin-1")),), [b""]), send)
            return
        entry, parameters = _find(self._entries, path, scope["method"])
        scope["route"] = _Template(entry.path)
        await self._answer(entry, "", parameters, scope, receive, send)

    async def of_one(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request for a path below that of a model."""
        name, version = scope["path_params"]["model_name"], scope["path_params"].get("model_version", "")
        check_model_name(name)
        entries = list(_entries(name, self._plane.handlers(name, version)))
        entries.sort(key=lambda entry: _PARAMETER.sub("\U0010ffff", entry.path))
        entry, parameters = _find(entries, f"/{scope['path_params']['path']}", scope["method"])
        scope["route"] = _Template(f"{VERSION if version else MODEL}{_NAMESPACE}{entry.path}")
        await self._answer(entry, version, parameters, scope, receive, send)

    async def _answer(
        self, entry: _Entry, version: str, path: dict[str, str], scope: Scope, receive: Receive, send: Send
    ) -> None:
        view = HeaderView(list(scope["headers"]))
        query = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        try:
            body = await read_body(receive, scope["headers"], self._limit)
            if encoding := view.get("content-encoding"):
                body = bytes(await decompressed(body, encoding.encode("latin-1"), self._limit))
        except ClientLeftError:
            return
        except OIPError as error:
            await send_reply(error_reply(error), send)
            return
        request = HandlerRequest(entry.route.name, path, query, dict(view), body, view.repeated())

        async def call() -> None:
            await send_reply(await self._call(entry.model, version, request), send)

        await while_connected(receive, call())

    async def _call(self, model: str, version: str, request: HandlerRequest) -> Reply:
        try:
            return _reply(await self._plane.call_handler(model, request, version), request.name, model)
        except OIPError as error:
            return error_reply(error)
        except Exception:
            _log.exception("handler '%s' of model '%s' failed", request.name, model)
            return message_reply(500, INTERNAL_MESSAGE)


def _reply(response: HandlerResponse, handler: str, model: str) -> Reply:
    if not 200 <= response.status < 600:
        raise InternalError(f"handler '{handler}' of model '{model}' answered with the status {response.status}")
    media_type = safe_headers({"x": response.media_type})
    content_type = media_type[0][1] if media_type else b"application/octet-stream"
    return Reply(
        response.status,
        ((b"content-type", content_type), *safe_headers(response.headers)),
        [response.body],
    )


def add_custom_handlers(app: FastAPI, plane: DataPlane, settings: Settings) -> None:
    """Let models answer paths of their own: those that no route of ``app`` has, now or later."""
    own = app.router

    def is_taken(path: str, method: str) -> bool:
        scope = {"type": "http", "path": path, "method": method, "root_path": ""}
        return any(route.matches(scope)[0] is not Match.NONE for route in own.routes)

    custom = CustomHandlers(plane, settings, is_taken)
    for path in (MODEL, VERSION):
        own.routes.append(Route(f"{path}{_NAMESPACE}/{{path:path}}", _Below(custom), include_in_schema=False))
    missing = own.default

    async def last(scope: Scope, receive: Receive, send: Send) -> None:
        await (custom.of_all if scope["type"] == "http" else missing)(scope, receive, send)

    own.default = last


class _Below:
    """An ASGI application for everything below a model's own path; an object, since routes take functions apart."""

    def __init__(self, custom: CustomHandlers) -> None:
        self._custom = custom

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._custom.of_one(scope, receive, send)
