"""From what a transport received to the arguments of a handler, by the method's signature; knows no web framework."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin, get_type_hints

import orjson
import pydantic
from pydantic import PydanticUserError, TypeAdapter, ValidationError

from ..codecs.hints import unwrap_optional
from ..handlers import CustomHandler

if TYPE_CHECKING:
    from .handlers import HandlerRequest

Source = Literal["path", "query", "header", "body", "query or body", "request"]

_PATH_NAME = re.compile(r"{(\w+)(?::\w+)?}")
_NOTHING: Any = object()
_WITHOUT_BODY = ("GET", "HEAD", "DELETE", "OPTIONS")


#: What is wrong with one argument, as FastAPI tells it: "type", "loc", "msg", "input".
Problem = dict[str, Any]


class ArgumentsError(Exception):
    """A call's arguments cannot be made of what its caller sent."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__(", ".join(f"{problem['loc']}: {problem['msg']}" for problem in problems))
        self.problems = problems


@dataclasses.dataclass(frozen=True, slots=True)
class Argument:
    """One argument: where its value is found under which name, what it must be, and what it is when not given."""

    name: str
    source: Source
    key: str
    hint: Any
    default: Any = _NOTHING
    embedded: bool = False  # in the body: a member of its JSON object, rather than all of it
    adapter: TypeAdapter[Any] | None = None


class Binding:
    """The arguments of one handler, ready to be filled from requests.

    Raises TypeError or NameError for a signature that cannot be understood.
    """

    def __init__(self, handler: CustomHandler, function: Callable[..., Any], takes_self: bool) -> None:
        self.handler = handler
        path_names = set(_PATH_NAME.findall(handler.rest_path))
        hints = get_type_hints(function, include_extras=True)
        parameters = list(inspect.signature(function).parameters.values())
        arguments = [
            _argument(parameter, hints.get(parameter.name, Any), path_names)
            for parameter in (parameters[1:] if takes_self else parameters)
            if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        ]
        self.arguments = _with_body(arguments, handler.rest_method)

    def arguments_of(self, request: HandlerRequest) -> dict[str, Any]:
        """The arguments of a call. Raises ArgumentsError telling each one that is missing or wrong."""
        body = _Body(request)
        values: dict[str, Any] = {}
        problems: list[Problem] = []
        for argument in self.arguments:
            if argument.source == "request":
                values[argument.name] = _framework_request(argument.hint, self.handler, request)
                continue
            try:
                value = self._find(argument, request, body)
                if value is not _NOTHING:
                    values[argument.name] = _checked(argument, value)
                elif argument.default is not _NOTHING:
                    values[argument.name] = argument.default
                else:
                    problems.append(
                        {"type": "missing", "loc": _place(argument), "msg": "Field required", "input": None}
                    )
            except ArgumentsError as error:
                problems += error.problems
        if problems:
            raise ArgumentsError(problems)
        return values

    def _find(self, argument: Argument, request: HandlerRequest, body: _Body) -> Any:
        if argument.source == "path":
            return request.path_params.get(argument.key, _NOTHING)
        if argument.source == "header":
            return _header(argument, request)
        if argument.source in ("query", "query or body"):
            values = request.query.get(argument.key)
            if values:
                return values if _is_list(argument.hint) else values[-1]
            if argument.source == "query":
                return _NOTHING
        if not request.body:
            return b"" if argument.hint is bytes else _NOTHING
        if argument.hint is bytes:
            return request.body
        if argument.hint is str and not argument.embedded:
            return body.text()
        parsed = body.json()
        if not argument.embedded:
            return parsed
        return parsed.get(argument.key, _NOTHING) if isinstance(parsed, dict) else _NOTHING


def _header(argument: Argument, request: HandlerRequest) -> Any:
    """A header's value, or of one that came more than once the first; for a list all of them."""
    value = request.headers.get(argument.key, _NOTHING)
    if value is _NOTHING:
        return value
    values = request.repeated.get(argument.key, [value])
    return values if _is_list(argument.hint) else values[0]


def _checked(argument: Argument, value: Any) -> Any:
    if argument.adapter is None:
        return value
    try:
        return argument.adapter.validate_python(value)
    except ValidationError as error:
        raise ArgumentsError(
            [
                {**problem, "loc": [*_place(argument), *problem["loc"]]}
                for problem in error.errors(include_url=False, include_context=False)
            ]
        ) from None


def _place(argument: Argument) -> list[str | int]:
    """Where a caller was to put ``argument``, in FastAPI's words."""
    if argument.source in ("body", "query or body"):
        return ["body", argument.key] if argument.embedded else ["body"]
    return [argument.source, argument.key]


class _Body:
    """The body of a request, parsed once."""

    def __init__(self, request: HandlerRequest) -> None:
        self._request = request
        self._parsed: Any = _NOTHING

    def json(self) -> Any:
        if self._parsed is _NOTHING:
            try:
                self._parsed = orjson.loads(self._request.body)
            except orjson.JSONDecodeError as error:
                told = {"type": "json_invalid", "loc": ["body", error.pos], "msg": "JSON decode error", "input": {}}
                raise ArgumentsError([{**told, "ctx": {"error": error.msg}}]) from None
        return self._parsed

    def text(self) -> Any:
        """The string that a JSON body holds; any other body as it is."""
        body = self._request.body
        if body.lstrip()[:1] == b'"' and "json" in self._request.headers.get("content-type", "json"):
            return self.json()
        try:
            return body.decode()
        except UnicodeDecodeError:
            told = "Input should be a valid string, unable to parse raw data as a unicode string"
            raise ArgumentsError([{"type": "string_unicode", "loc": ["body"], "msg": told, "input": None}]) from None


def _argument(parameter: inspect.Parameter, hint: Any, path_names: set[str]) -> Argument:
    name = parameter.name
    default = _NOTHING if parameter.default is parameter.empty else parameter.default
    marker = default if _is_marker(default) else None
    if get_origin(hint) is Annotated:
        marker = marker or next((extra for extra in get_args(hint)[1:] if _is_marker(extra)), None)
        hint = get_args(hint)[0]
    key = name
    embedded = False
    if _is_request_class(hint):
        return Argument(name, "request", key, hint)
    if marker is not None and default is marker:
        default = marker.get_default(call_default_factory=True)
        default = _NOTHING if default is Ellipsis or type(default).__name__ == "PydanticUndefinedType" else default
    if marker is not None:
        key = marker.alias or name
        embedded = bool(getattr(marker, "embed", False))
    source: Source
    if name in path_names:
        source = "path"
    elif marker is not None:
        source = _MARKERS[type(marker).__name__]
        if source == "header" and not marker.alias:
            key = name.replace("_", "-")
    else:
        source = "body" if _fills_body(hint) else "query or body"
    return Argument(name, source, key.lower() if source == "header" else key, hint, default, embedded, _adapter(hint))


def _with_body(arguments: list[Argument], verb: str) -> list[Argument]:
    """Settle who takes the body: one argument all of it, several its members, scalars only when they are alone."""
    in_body = [argument for argument in arguments if argument.source == "body"]
    loose = [argument for argument in arguments if argument.source == "query or body"]
    may_take = len(loose) == 1 and not in_body and verb not in _WITHOUT_BODY
    return [
        dataclasses.replace(argument, embedded=True)
        if argument.source == "body" and len(in_body) > 1
        else dataclasses.replace(argument, source="query")
        if argument.source == "query or body" and not may_take
        else argument
        for argument in arguments
    ]


# FastAPI's markers are understood by name: handlers are written with them, but nothing here needs FastAPI.
_MARKERS: Mapping[str, Source] = {"Body": "body", "Query": "query", "Header": "header", "Path": "path"}


def _is_marker(value: Any) -> bool:
    return type(value).__module__ == "fastapi.params" and type(value).__name__ in _MARKERS


def _is_request_class(hint: Any) -> bool:
    return isinstance(hint, type) and any(
        kind.__module__ == "starlette.requests" and kind.__name__ == "Request" for kind in hint.__mro__
    )


def _framework_request(kind: Any, handler: CustomHandler, request: HandlerRequest) -> Any:
    """The web framework's own request, for handlers that ask for it; ``kind`` is its class."""
    from urllib.parse import urlencode

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": request.body, "more_body": False}

    scope = {
        "type": "http",
        "http_version": "1.1",
        "scheme": "http",
        "method": handler.rest_method,
        "path": _PATH_NAME.sub(lambda name: request.path_params.get(name[1], name[0]), handler.rest_path),
        "root_path": "",
        "path_params": dict(request.path_params),
        "query_string": urlencode(request.query, doseq=True).encode(),
        "headers": [
            (key.encode("latin-1"), each.encode("latin-1"))
            for key, value in request.headers.items()
            for each in request.repeated.get(key, [value])
        ],
    }
    return kind(scope, receive)


def _fills_body(hint: Any) -> bool:
    """Whether values of ``hint`` are too structured for a query."""
    hint, _ = unwrap_optional(hint)
    kind = get_origin(hint) or hint
    return isinstance(kind, type) and (
        issubclass(kind, (pydantic.BaseModel, dict, list, tuple, set, frozenset, bytes, Mapping))
        or dataclasses.is_dataclass(kind)
        or hasattr(kind, "__get_pydantic_core_schema__")
    )


def _is_list(hint: Any) -> bool:
    hint, _ = unwrap_optional(hint)
    return (get_origin(hint) or hint) in (list, tuple, set)


def _adapter(hint: Any) -> TypeAdapter[Any] | None:
    """What checks and converts values of ``hint``; None for hints that pydantic does not know, which take anything."""
    if hint is Any:
        return None
    try:
        return TypeAdapter(hint)
    except PydanticUserError:
        return None
