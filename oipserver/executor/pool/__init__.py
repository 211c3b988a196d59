"""The worker pool: models in processes of their own, tensors in shared memory, nothing lost when a process dies."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .manager import PoolManager

__all__ = ["PoolManager"]


def __getattr__(name: str) -> object:
    # Late, because a worker imports this package too, and has no use for the server's half of it.
    if name == "PoolManager":
        from .manager import PoolManager

        return PoolManager
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
