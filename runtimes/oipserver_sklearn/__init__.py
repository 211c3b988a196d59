"""Runtime for scikit-learn models; importing it loads no scikit-learn."""

from __future__ import annotations

from .model import SKLearnModel

__all__ = ["SKLearnModel"]
