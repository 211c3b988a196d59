"""The gRPC wire: the Open Inference Protocol's service over the planes; knows no model and no executor."""

from __future__ import annotations

from ..address import PortInUseError
from .dispatch import GrpcObserver
from .server import SERVICE, GrpcServer

__all__ = ["SERVICE", "GrpcObserver", "GrpcServer", "PortInUseError"]
