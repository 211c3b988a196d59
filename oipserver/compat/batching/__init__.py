"""``mlserver.batching``: merging requests by hand, for models that do; the server's own batching is the scheduler's."""

from __future__ import annotations

from .requests import BatchedRequests

__all__ = ["BatchedRequests"]
