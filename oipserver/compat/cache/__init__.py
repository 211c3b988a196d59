"""``mlserver.cache``: caches of answers as models use them for themselves; the server's own cache is none of them."""

from __future__ import annotations

from .cache import ResponseCache
from .local import LocalCache

__all__ = ["LocalCache", "ResponseCache"]
