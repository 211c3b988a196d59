"""What a cache of answers is."""

from __future__ import annotations

from abc import ABC, abstractmethod


class ResponseCache(ABC):
    """Answers by key."""

    @abstractmethod
    async def insert(self, key: str, value: str) -> None:
        """Keep ``value``, in place of what ``key`` had."""

    @abstractmethod
    async def lookup(self, key: str) -> str:
        """What ``key`` has, "" where it has nothing."""

    @abstractmethod
    async def size(self) -> int:
        """How many answers are kept."""
