"""Runtime for LightGBM models; importing it loads no lightgbm."""

from __future__ import annotations

from .model import LightGBMModel

__all__ = ["LightGBMModel"]
