"""Runtime that answers with what it was asked."""

from __future__ import annotations

from .model import IdentityModel

__all__ = ["IdentityModel"]
