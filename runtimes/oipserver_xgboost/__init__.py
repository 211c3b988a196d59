"""Runtime for XGBoost models; importing it loads no xgboost."""

from __future__ import annotations

from .model import XGBoostModel

__all__ = ["XGBoostModel"]
