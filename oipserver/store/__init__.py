"""The model store: models by name and version in a folder, which a server serves as it is."""

from __future__ import annotations

from .archive import export_model, import_model
from .given import batching_of
from .mlflow_models import MLFLOW_MODEL_FOLDER, ImportOptions, import_mlflow_model
from .remote import pull, push
from .store import Draft, ModelStore
from .stored import StoredModel
from .tags import Tag

__all__ = [
    "MLFLOW_MODEL_FOLDER",
    "Draft",
    "ImportOptions",
    "ModelStore",
    "StoredModel",
    "Tag",
    "batching_of",
    "export_model",
    "import_mlflow_model",
    "import_model",
    "pull",
    "push",
]
