"""The command line: reads arguments, prints results and errors; does nothing itself."""

from __future__ import annotations

from .main import main

__all__ = ["main"]
