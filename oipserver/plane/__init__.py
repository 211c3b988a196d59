"""Use cases free of transport: inference, metadata and health, and the control of what is loaded."""

from __future__ import annotations

from .annotated import AnnotatedDataPlane, CloudEvents
from .cache import ResponseCache
from .cached import CachedDataPlane
from .control import ControlPlane, Watcher
from .data import DataPlane
from .extensions.trace import TraceControl
from .peers import ModelCalls
from .traced import TracedDataPlane

__all__ = [
    "AnnotatedDataPlane",
    "CachedDataPlane",
    "CloudEvents",
    "ControlPlane",
    "DataPlane",
    "ModelCalls",
    "ResponseCache",
    "TraceControl",
    "TracedDataPlane",
    "Watcher",
]
