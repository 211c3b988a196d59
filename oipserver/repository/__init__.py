"""Where models are found; nothing is loaded here and no model's code is touched."""

from __future__ import annotations

from pathlib import Path

from ..settings import Settings
from .custom import load_custom
from .file_repository import FileModelRepository
from .fingerprint import fingerprint
from .layout import BareOnnxLayout, MLServerLayout
from .overrides import Overlay, Overlays, Overrides, check_file
from .repository import ModelRepository, Scan
from .several import SeveralRepositories
from .triton_layout import TritonLayout

__all__ = [
    "FileModelRepository",
    "ModelRepository",
    "Overlay",
    "Overlays",
    "Overrides",
    "Scan",
    "SeveralRepositories",
    "check_file",
    "fingerprint",
    "model_repository",
    "models_below",
]


def models_below(settings: Settings, root: Path) -> FileModelRepository:
    """The models below ``root``, in the layouts that there are, as ``settings`` want Triton's to be read."""
    strict = settings.disable_auto_complete_config or settings.strict_model_config
    layouts = (MLServerLayout(), TritonLayout(settings.model_config_name, strict=strict), BareOnnxLayout())
    return FileModelRepository(root, layouts=layouts)


def model_repository(settings: Settings, root: Path) -> ModelRepository:
    """The repository that ``settings`` choose: a class of the user's own, else the files below ``root`` and below
    ``model_repositories``.

    Raises InvalidArgumentError where that class cannot be used.
    """
    if settings.model_repository_implementation is None:
        roots = dict.fromkeys([str(root), *settings.model_repositories])
        repositories = {path: models_below(settings, Path(path)) for path in roots}
        return repositories[str(root)] if len(repositories) == 1 else SeveralRepositories(repositories)
    return load_custom(
        settings.model_repository_implementation, str(root), settings.model_repository_implementation_args
    )
