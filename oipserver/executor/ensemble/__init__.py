"""Ensembles: models made of other models, whose tensors pass from one to the next."""

from __future__ import annotations

from .executor import EnsembleExecutor
from .members import Member, Members

__all__ = ["EnsembleExecutor", "Member", "Members"]
