"""What is said between the stations of a request: plain dataclasses that know no wire and no model."""

from __future__ import annotations

from .infer import InferRequest, InferResponse, RequestedOutput, Timings
from .metadata import ModelMetadata, ServerMetadata, TensorMetadata
from .pending import Pending
from .repository import ModelState, RepositoryIndexItem

__all__ = [
    "InferRequest",
    "InferResponse",
    "ModelMetadata",
    "ModelState",
    "Pending",
    "RepositoryIndexItem",
    "RequestedOutput",
    "ServerMetadata",
    "TensorMetadata",
    "Timings",
]
