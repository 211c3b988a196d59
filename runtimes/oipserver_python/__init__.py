"""Runtime for models written for Triton's Python backend; importing it loads no model's code."""

from __future__ import annotations

from .model import PythonModel

__all__ = ["PythonModel"]
