"""``mlserver.utils``: artefacts, ids and headers; what runtimes written for MLServer call."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

from ..errors import InvalidModelURI
from ..settings import ModelSettings
from ..settings.places import local_path
from ..types import InferenceRequest, InferenceResponse, Parameters


async def get_model_uri(settings: ModelSettings, wellknown_filenames: list[str] = []) -> str:  # noqa: B006  # as there
    """The file or folder of a model's artefact: the first of ``wellknown_filenames`` in the folder its settings name,
    else that folder; the file itself where they name one; a remote address as it is.

    Raises InvalidModelURI where there is no such place, or the settings name none.
    """
    uri = settings.parameters.uri
    if not uri:
        raise InvalidModelURI(settings.name)
    place = local_path(uri)
    return uri if place is None else _find_artefact(settings, place, wellknown_filenames)


def _find_artefact(settings: ModelSettings, place: Path, wellknown_filenames: list[str]) -> str:
    path = to_absolute_path(settings, str(place))
    if os.path.isfile(path):
        return path
    if not os.path.isdir(path):
        raise InvalidModelURI(settings.name, settings.parameters.uri)
    places = (os.path.join(path, name) for name in wellknown_filenames)
    return next((place for place in places if os.path.isfile(place)), path)


def to_absolute_path(model_settings: ModelSettings, uri: str) -> str:
    """``uri`` seen from the folder of the model's settings file, or from the working directory where it has none."""
    source = model_settings.source
    return os.path.abspath(Path(source).parent / uri) if source else os.path.abspath(uri)


def generate_uuid() -> str:
    """A new id."""
    return str(uuid.uuid4())


def insert_headers(inference_request: InferenceRequest, headers: Mapping[str, str]) -> InferenceRequest:
    """Put the transport's ``headers`` into the request's parameters, and return the request."""
    if inference_request.parameters is None:
        inference_request.parameters = Parameters()
    inference_request.parameters.headers = dict(headers)
    return inference_request


def extract_headers(inference_response: InferenceResponse) -> dict[str, str] | None:
    """Take what is to become headers out of the parameters of a response and of its outputs; None where none is."""
    found: dict[str, str] = {}
    for parameters in (inference_response.parameters, *(output.parameters for output in inference_response.outputs)):
        if parameters is not None and parameters.headers:
            found.update(parameters.headers)
            parameters.headers = None
    return found or None


def get_wrapped_method(f: Callable[..., Any]) -> Callable[..., Any]:
    """The function inside all decorators that say what they wrap."""
    while hasattr(f, "__wrapped__"):
        f = f.__wrapped__
    return f


def schedule_with_callback(
    coro: Coroutine[Any, Any, Any], cb: Callable[[asyncio.Task[Any]], object]
) -> asyncio.Task[Any]:
    """Run ``coro`` on the running loop, and ``cb`` with its task when it is done."""
    task = asyncio.get_running_loop().create_task(coro)
    task.add_done_callback(cb)
    return task
