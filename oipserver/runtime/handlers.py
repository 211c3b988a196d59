"""Custom REST handlers of a model in plain data, so that a call can cross to a worker; knows no web framework."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import pydantic
from pydantic_core import PydanticSerializationError, to_json

from ..errors import InternalError, NotFoundError, OIPError
from ..handlers import marked_methods
from ..model import MLModel
from .binding import ArgumentsError, Binding


@dataclass(frozen=True, slots=True)
class HandlerRoute:
    """One custom handler of a model: the method's ``name`` and where it is reached (``path`` may hold ``{names}``)."""

    name: str
    path: str
    method: str = "POST"


@dataclass(frozen=True, slots=True)
class HandlerRequest:
    """A call of a custom handler: what the transport received. A query's key may come more than once.

    ``headers`` holds headers of one name as one text; ``repeated`` has each value of those that came more than once.
    """

    name: str
    path_params: dict[str, str] = field(default_factory=dict)
    query: dict[str, list[str]] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    repeated: dict[str, list[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HandlerResponse:
    """What the transport is to answer."""

    status: int = 200
    body: bytes = b""
    media_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)


# Built once per class, and gone with it: a model that is loaded anew may be a new class of the same name.
_bindings: WeakKeyDictionary[type, dict[str, Binding]] = WeakKeyDictionary()


def _bindings_of(kind: type) -> dict[str, Binding]:
    """How the handlers of a model class are called, by name."""
    found = _bindings.get(kind)
    if found is None:
        found = _bindings[kind] = {
            name: Binding(mark, getattr(kind, name), inspect.isfunction(inspect.getattr_static(kind, name)))
            for name, mark in marked_methods(kind).items()
        }
    return found


def find_handlers(model: MLModel) -> list[HandlerRoute]:
    """The custom handlers of ``model``, by name. Raises TypeError or NameError for a signature that makes no sense."""
    return [
        HandlerRoute(name, binding.handler.rest_path, binding.handler.rest_method)
        for name, binding in _bindings_of(type(model)).items()
    ]


async def call_handler(model: MLModel, request: HandlerRequest) -> HandlerResponse:
    """Call a custom handler of ``model``; one that is not ``async`` runs in a thread.

    Handlers are written as endpoints of FastAPI, and answer as they would: 422 with a list of what is wrong under
    ``detail`` for arguments that are missing or wrong, and a raised HTTPException's status and ``detail``. Raises
    NotFoundError where the model has no such handler, InternalError for an answer that has no form on the wire, and
    whatever else the handler raises.
    """
    binding = _bindings_of(type(model)).get(request.name)
    if binding is None:
        raise NotFoundError(f"model '{model.name}' has no handler '{request.name}'")
    try:
        arguments = binding.arguments_of(request)
    except ArgumentsError as error:
        return HandlerResponse(422, _json({"detail": error.problems}))
    place = f"handler '{request.name}' of model '{model.name}'"
    try:
        return _response(await _result(getattr(model, request.name), arguments), place)
    except Exception as error:
        if (told := _told(error)) is None:
            raise
        return told


async def _result(method: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    if inspect.iscoroutinefunction(method):
        return await method(**arguments)
    result = await asyncio.to_thread(method, **arguments)
    return await result if inspect.isawaitable(result) else result


def _told(error: Exception) -> HandlerResponse | None:
    """The answer that a web framework's HTTPException stands for; it need not be imported to be understood."""
    status = getattr(error, "status_code", None)
    if isinstance(error, OIPError) or not isinstance(status, int) or not hasattr(error, "detail"):
        return None
    return HandlerResponse(status, _json({"detail": error.detail}), headers=dict(getattr(error, "headers", None) or {}))


def _response(result: Any, place: str) -> HandlerResponse:
    if isinstance(result, HandlerResponse):
        return result
    if isinstance(result, (bytes, bytearray, memoryview)):
        return HandlerResponse(body=bytes(result), media_type="application/octet-stream")
    if hasattr(result, "raw_headers") and hasattr(result, "status_code"):
        return _from_framework(result, place)
    try:
        return HandlerResponse(body=_json(result))
    except PydanticSerializationError as error:
        raise InternalError(f"{place} returned a {type(result).__name__} that has no form in JSON: {error}") from error


def _from_framework(result: Any, place: str) -> HandlerResponse:
    """What a response object of the web framework holds; it need not be imported to be understood."""
    body = getattr(result, "body", None)
    if body is None:
        raise InternalError(f"{place} returned a {type(result).__name__}; only responses with a body are possible")
    headers = {key.decode("latin-1").lower(): value.decode("latin-1") for key, value in result.raw_headers}
    headers.pop("content-length", None)
    media_type = headers.pop("content-type", "application/octet-stream")
    return HandlerResponse(result.status_code, bytes(body), media_type, headers)


def _json(result: Any) -> bytes:
    """``result`` as JSON: pydantic models without what is unset or None, NaN as null, arrays as lists."""
    if isinstance(result, pydantic.BaseModel):
        return result.model_dump_json(by_alias=True, exclude_unset=True, exclude_none=True).encode()
    return to_json(result, by_alias=True, exclude_none=True, inf_nan_mode="null", fallback=_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    raise PydanticSerializationError(f"{type(value).__name__} is not JSON serializable")
