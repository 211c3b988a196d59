"""A cache of answers in memory."""

from __future__ import annotations

from collections import OrderedDict

from .cache import ResponseCache


class LocalCache(ResponseCache):
    """The last ``size`` answers, in memory; the oldest goes first."""

    def __init__(self, size: int = 100) -> None:
        self.cache: OrderedDict[str, str] = OrderedDict()
        self.size_limit = size

    async def insert(self, key: str, value: str) -> None:
        self.cache[key] = value
        while len(self.cache) > self.size_limit:
            self.cache.popitem(last=False)

    async def lookup(self, key: str) -> str:
        return self.cache.get(key, "")

    async def size(self) -> int:
        return len(self.cache)
