"""Predictor: an opened model as the functions it has and what is known of the tables it takes; knows no request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from oipserver.tensor import DATATYPES
from oipserver.types import MetadataTensor, Parameters

#: The name told for the one input of a model. Requests may use any.
INPUT_NAME = "input-1"


@dataclass(frozen=True, slots=True)
class Predictor:
    """An opened model.

    ``functions`` are what it can compute, by the names of the outputs. ``features`` is the number of columns it takes,
    None where it does not tell; ``feature_names`` are their names, where it was fitted with names. ``datatype`` is the
    one its input is told to have; any number is taken. ``columns`` are told instead of one input where the model takes
    nothing but a table of named columns, ``example`` is such a table of one row. ``failures`` are the framework's own
    errors for data that does not suit it.
    """

    functions: Mapping[str, Callable[[Any], Any]]
    features: int | None = None
    feature_names: tuple[str, ...] = ()
    datatype: str = "FP64"
    columns: tuple[MetadataTensor, ...] = ()
    example: Any = None
    failures: tuple[type[Exception], ...] = ()

    def sample(self) -> Any:
        """Something the model may be tried with; None where nothing is known of what it takes."""
        if self.example is not None or self.features is None:
            return self.example
        return np.zeros((1, self.features), DATATYPES[self.datatype].dtype)

    def inputs(self) -> list[MetadataTensor]:
        """What is told of the inputs; nothing where nothing is known."""
        if self.columns:
            return list(self.columns)
        if self.features is None:
            return []
        parameters: dict[str, Any] = {"content_type": "np"}
        if self.feature_names:
            parameters["feature_names"] = list(self.feature_names)
        shape = [-1, self.features]
        return [
            MetadataTensor(name=INPUT_NAME, datatype=self.datatype, shape=shape, parameters=Parameters(**parameters))
        ]
