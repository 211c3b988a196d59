"""``mlserver.version``: this server's own version."""

from __future__ import annotations

from .. import __version__

__all__ = ["__version__"]
