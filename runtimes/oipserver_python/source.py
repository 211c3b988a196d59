"""From a version's folder to the class in its model.py; knows nothing of what the class does."""

from __future__ import annotations

import sys
from pathlib import Path

from oipserver import ModelSettings
from oipserver.errors import ModelLoadError
from oipserver.runtime.user_code import import_from

from . import backend

CLASS = "TritonPythonModel"
_DEFAULT_FILE = "model.py"
_NAMES = ("triton_python_backend_utils", "c_python_backend_utils")


def find_source(settings: ModelSettings, filename: str = "") -> Path:
    """The file of the model's code. Raises ModelLoadError saying where it was looked for."""
    name = filename or _DEFAULT_FILE
    folder = settings.folder
    given = settings.parameters.uri
    if given and (path := folder / given).suffix == ".py":
        candidates = [path]
    else:
        start = folder / given if given else folder
        versions = sorted((path for path in start.glob("*/") if path.name.isdecimal()), key=lambda path: int(path.name))
        candidates = [start / (settings.version or "1") / name, start / name, *(path / name for path in versions[::-1])]
    for path in candidates:
        if path.is_file():
            return path.resolve()
    raise ModelLoadError(f"model '{settings.name}': there is no {name}: looked for {candidates[0]}")


def import_class(path: Path, model: str) -> type:
    """The model's class, from a module that this model has for itself. Raises ModelLoadError."""
    for name in _NAMES:
        sys.modules[name] = backend
    # What lies beside model.py is found by the import itself; its own imports may be of the model's folder too.
    for folder in (str(path.parent), str(path.parent.parent)):
        if folder not in sys.path:
            sys.path.append(folder)
    try:
        module = import_from(path.parent, path.stem, model)
    except Exception as error:
        where = f" (line {error.lineno})" if isinstance(error, SyntaxError) else ""
        raise ModelLoadError(
            f"model '{model}': cannot import {path.name}: {type(error).__name__}: {error}{where}"
        ) from error
    kind = getattr(module, CLASS, None)
    if not isinstance(kind, type):
        raise ModelLoadError(f"model '{model}': {path.name} has no class {CLASS}")
    if not callable(getattr(kind, "execute", None)):
        raise ModelLoadError(f"model '{model}': {CLASS} in {path.name} has no execute(requests)")
    return kind
