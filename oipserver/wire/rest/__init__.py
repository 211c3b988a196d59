"""The REST wire: inference over a short way of its own, everything else over a web framework."""

from __future__ import annotations

from .app import create_app
from .observer import RequestObserver
from .server import PortInUseError, RestServer

__all__ = ["PortInUseError", "RequestObserver", "RestServer", "create_app"]
