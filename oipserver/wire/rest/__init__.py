"""The REST wire: inference over a short way of its own, everything else over a web framework."""

from __future__ import annotations

from ..address import PortInUseError
from .app import create_app
from .observer import RequestObserver
from .server import RestServer

__all__ = ["PortInUseError", "RequestObserver", "RestServer", "create_app"]
