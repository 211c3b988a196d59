"""The statistics extension: what every loaded model version has done so far."""

from __future__ import annotations

from dataclasses import dataclass

from ...errors import InvalidArgumentError
from ...telemetry.statistics import Totals
from ..data import DataPlane


@dataclass(frozen=True, slots=True)
class ModelReport:
    """What one model version has done since it was loaded."""

    name: str
    version: str
    totals: Totals


def model_statistics(data: DataPlane, name: str = "", version: str = "") -> list[ModelReport]:
    """Reports of all loaded versions of all models, of ``name``, or of the one ``version`` of it.

    Raises InvalidArgumentError where a name or version is asked for that is not loaded.
    """
    models = data.models()
    if name:
        models = [model for model in models if model.name == name]
        if not models:
            raise InvalidArgumentError(f"requested model '{name}' is not available")
        if version:
            models = [model for model in models if model.version == version]
            if not models:
                raise InvalidArgumentError(
                    f"requested model version is not available for model '{name}': version {version} is not loaded"
                )
    return [ModelReport(model.name, model.version, model.statistics.totals) for model in models]
