"""The server put together, and run as a process; imported by nothing but what starts servers."""

from .process import run, run_until, serve, stop_on_signals
from .report import ModelRow, StartReport
from .server import EXTENSIONS, Server, ServerState

__all__ = [
    "EXTENSIONS",
    "ModelRow",
    "Server",
    "ServerState",
    "StartReport",
    "run",
    "run_until",
    "serve",
    "stop_on_signals",
]
