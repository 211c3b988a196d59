"""The model configuration extension: what a loaded model version is configured as, in Triton's form."""

from __future__ import annotations

from ...configuration import Configuration
from ..data import DataPlane


def model_configuration(data: DataPlane, name: str, version: str = "") -> Configuration:
    """The configuration of a model version, completed by what the model turned out to be; of a model that was given
    none, what its settings and metadata come to.

    Raises NotFoundError for a model that is not there, UnavailableError for one that is not loaded yet.
    """
    return data.model(name, version).configuration
