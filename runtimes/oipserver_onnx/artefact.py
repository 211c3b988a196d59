"""Where the file of an ONNX model is; opens nothing."""

from __future__ import annotations

from pathlib import Path
from stat import S_ISREG

from oipserver import ModelSettings
from oipserver.errors import ModelLoadError

WELL_KNOWN = "model.onnx"
_SUFFIXES = (".onnx", ".ort")
_NO_WEIGHTS = (*_SUFFIXES, ".json", ".md", ".py")


def find_artefact(settings: ModelSettings) -> Path:
    """The model's file: ``parameters.uri`` or, without one, the folder of the settings file.

    A folder stands for the ``model.onnx`` in it, or for the only ``.onnx`` file in it.
    Raises ModelLoadError saying where was looked.
    """
    uri = settings.parameters.uri
    folder = Path(settings.source).parent if settings.source else None
    if not uri:
        if folder is None:
            raise ModelLoadError(f"model '{settings.name}': parameters.uri names no ONNX file")
        return _in_folder(folder, settings.name)
    path = Path(uri.removeprefix("file://"))
    if folder is not None:
        path = folder / path  # an absolute path stays as it is
    if path.is_dir():
        return _in_folder(path, settings.name)
    if not path.exists():
        raise ModelLoadError(f"model '{settings.name}': there is no file '{path}' (parameters.uri is '{uri}')")
    return path


def _in_folder(folder: Path, model: str) -> Path:
    best = folder / WELL_KNOWN
    if best.is_file():
        return best
    found = sorted(path.name for path in folder.iterdir() if path.suffix in _SUFFIXES and path.is_file())
    if len(found) == 1:
        return folder / found[0]
    if found:
        raise ModelLoadError(
            f"model '{model}': '{folder}' holds several ONNX files and none is called {WELL_KNOWN}: "
            f"say which one in parameters.uri: {', '.join(found)}"
        )
    raise ModelLoadError(f"model '{model}': there is no {WELL_KNOWN} in '{folder}'")


def artefact_bytes(path: Path) -> int:
    """Bytes of the model: the file and what lies beside it that may be its external weights."""
    beside = (other for other in path.parent.iterdir() if other.suffix not in _NO_WEIGHTS and other != path)
    return sum(map(_size, (path, *beside)))


def _size(path: Path) -> int:
    try:
        status = path.stat()
    except OSError:  # gone meanwhile, or not ours to look at
        return 0
    return status.st_size if S_ISREG(status.st_mode) else 0
