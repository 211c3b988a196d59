"""``mlserver.metrics``: metrics that models declare and record."""

from __future__ import annotations

from ..telemetry.custom import log, register

__all__ = ["log", "register"]
