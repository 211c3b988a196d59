"""Runtime for the pipelines of Hugging Face's transformers; importing it loads neither transformers nor torch."""

from __future__ import annotations

from .model import HuggingFaceRuntime

__all__ = ["HuggingFaceRuntime"]
