"""Each unary call from bytes to bytes over the planes; knows no gRPC type."""

from __future__ import annotations

from .group import CallGroup
from .health import HealthCalls
from .infer import Call, InferHandler
from .repository import RepositoryCalls

__all__ = ["Call", "CallGroup", "HealthCalls", "InferHandler", "RepositoryCalls"]
