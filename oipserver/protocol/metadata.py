"""What a server and a model say about themselves."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class TensorMetadata:
    """Name, datatype and shape (-1 for a dynamic dimension, the batch dimension included) of one input or output.

    ``parameters`` are whatever JSON can say: lists of labels and of columns are common.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    parameters: dict[str, Any] | None = None
    optional: bool = False


@dataclass(frozen=True, slots=True)
class ModelMetadata:
    """A model version's face: platform, tensors, and what else its runtime tells."""

    name: str
    versions: tuple[str, ...] = ()
    platform: str = ""
    inputs: tuple[TensorMetadata, ...] = ()
    outputs: tuple[TensorMetadata, ...] = ()
    parameters: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ServerMetadata:
    """The server's name, version and the protocol extensions it truly has."""

    name: str
    version: str
    extensions: tuple[str, ...] = ()
