"""Runtime for PyTorch models; importing it loads no torch."""

from __future__ import annotations

from .model import TorchModel

__all__ = ["TorchModel"]
