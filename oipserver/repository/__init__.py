"""Where models are found; nothing is loaded here and no model's code is touched."""

from __future__ import annotations

from pathlib import Path

from ..settings import Settings
from .custom import load_custom
from .file_repository import FileModelRepository
from .fingerprint import fingerprint
from .layout import BareOnnxLayout, MLServerLayout
from .mlflow_layout import MLflowLayout
from .mlflow_uri import MLflowRepository, is_mlflow_uri
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
    triton = TritonLayout(settings.model_config_name, strict=strict)
    layouts = (MLServerLayout(), triton, MLflowLayout(), BareOnnxLayout())
    return FileModelRepository(root, layouts=layouts)


def _at(settings: Settings, place: str) -> ModelRepository:
    return MLflowRepository(place) if is_mlflow_uri(place) else models_below(settings, Path(place))


def model_repository(settings: Settings, root: Path) -> ModelRepository:
    """The repository that ``settings`` choose: a class of the user's own, else the files below ``root`` and below
    ``model_repositories``, each of which may be the URI of an MLflow model instead.

    Raises InvalidArgumentError where that class cannot be used.
    """
    if settings.model_repository_implementation is None:
        roots = dict.fromkeys([str(root), *settings.model_repositories])
        repositories = {path: _at(settings, path) for path in roots}
        return repositories[str(root)] if len(repositories) == 1 else SeveralRepositories(repositories)
    return load_custom(
        settings.model_repository_implementation, str(root), settings.model_repository_implementation_args
    )
