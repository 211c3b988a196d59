"""Runtime for CatBoost models; importing it loads no catboost."""

from __future__ import annotations

from .model import CatboostModel

__all__ = ["CatboostModel"]
