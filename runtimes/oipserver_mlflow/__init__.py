"""Runtime for MLflow models; importing it loads no MLflow."""

from __future__ import annotations

from .model import MLflowRuntime

__all__ = ["MLflowRuntime"]
