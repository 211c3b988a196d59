"""Folders of models as container images and as objects of a cluster; knows no running server."""

from __future__ import annotations

from .builders import BUILDERS, Builder, find_builder
from .dockerfile import DOCKERIGNORE, WHEELHOUSE, Options, dockerfile, gpu_note, is_ours
from .kserve import inference_service, serving_runtime
from .needs import Needs, needs_of
from .yaml_text import yaml_documents

__all__ = [
    "BUILDERS",
    "DOCKERIGNORE",
    "WHEELHOUSE",
    "Builder",
    "Needs",
    "Options",
    "dockerfile",
    "find_builder",
    "gpu_note",
    "inference_service",
    "is_ours",
    "needs_of",
    "serving_runtime",
    "yaml_documents",
]
