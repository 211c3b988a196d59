"""What the runtimes of Python frameworks share: artefacts, imports, threads, and models that take tables."""

from __future__ import annotations

from .artefact import Artefact, find_artefact
from .framework import import_framework
from .loading import load_alone
from .predictor import Predictor
from .table import TableModel
from .threads import thread_share, threads_for

__all__ = [
    "Artefact",
    "Predictor",
    "TableModel",
    "find_artefact",
    "import_framework",
    "load_alone",
    "thread_share",
    "threads_for",
]
