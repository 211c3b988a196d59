"""Each unary call from bytes to bytes over the planes; knows no gRPC type."""

from __future__ import annotations

from .group import CallGroup
from .health import HealthCalls
from .infer import Call, InferHandler
from .logging import LoggingCalls
from .model_configuration import ModelConfigurationCalls
from .repository import RepositoryCalls
from .shared_memory import SharedMemoryCalls
from .statistics import StatisticsCalls
from .trace import TraceCalls

__all__ = [
    "Call",
    "CallGroup",
    "HealthCalls",
    "InferHandler",
    "LoggingCalls",
    "ModelConfigurationCalls",
    "RepositoryCalls",
    "SharedMemoryCalls",
    "StatisticsCalls",
    "TraceCalls",
]
