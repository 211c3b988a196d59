"""Runtime for ONNX models; importing it loads no onnxruntime."""

from __future__ import annotations

from .model import OnnxModel

__all__ = ["OnnxModel"]
