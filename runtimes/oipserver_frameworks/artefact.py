"""Where the file of a model is, told by its settings; opens nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from oipserver import ModelSettings
from oipserver.errors import ModelLoadError


@dataclass(frozen=True, slots=True)
class Artefact:
    """What a runtime reads: the names it looks for in a folder, best first, and the suffixes such files may have."""

    kind: str
    names: tuple[str, ...]
    suffixes: tuple[str, ...]


def find_artefact(settings: ModelSettings, artefact: Artefact) -> Path:
    """The model's file: ``parameters.uri`` or, without one, the folder of the settings file.

    A folder stands for the first of ``artefact.names`` in it, or for the only file in it with one of the suffixes.
    Raises ModelLoadError saying where was looked and for what.
    """
    uri = settings.parameters.uri
    folder = Path(settings.source).parent if settings.source else None
    if not uri:
        if folder is None:
            raise ModelLoadError(f"model '{settings.name}': parameters.uri names no {artefact.kind} file")
        return _in_folder(folder, settings.name, artefact)
    path = Path(uri.removeprefix("file://"))
    if folder is not None:
        path = folder / path  # an absolute path stays as it is
    if path.is_dir():
        return _in_folder(path, settings.name, artefact)
    if not path.exists():
        raise ModelLoadError(f"model '{settings.name}': there is no file '{path}' (parameters.uri is '{uri}')")
    return path


def _in_folder(folder: Path, model: str, artefact: Artefact) -> Path:
    for name in artefact.names:
        if (folder / name).is_file():
            return folder / name
    found = sorted(path.name for path in folder.iterdir() if path.suffix in artefact.suffixes and path.is_file())
    candidates = [name for name in found if name != "model-settings.json"]
    if len(candidates) == 1:
        return folder / candidates[0]
    wanted = ", ".join(artefact.names)
    if candidates:
        raise ModelLoadError(
            f"model '{model}': '{folder}' holds several {artefact.kind} files and none is called {wanted}: "
            f"say which one in parameters.uri: {', '.join(candidates)}"
        )
    raise ModelLoadError(f"model '{model}': there is no {artefact.kind} file in '{folder}' (looked for {wanted})")
