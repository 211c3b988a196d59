"""Looks at the repository again and again and lets the control plane follow; knows no model."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from .control import ControlPlane

_log = logging.getLogger(__name__)

#: A change is acted on when it looks the same again after this many seconds: files are being copied until then.
SETTLE_SECONDS = 1.0


class Watcher:
    """Follows the repository every ``interval`` seconds while ``run`` runs."""

    def __init__(
        self, control: ControlPlane, interval: float, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    ) -> None:
        self._control = control
        self._interval = interval
        self._sleep = sleep

    async def run(self) -> None:
        """Until cancelled. A look that fails unexpectedly is logged, and the next one comes all the same."""
        while True:
            await self._sleep(self._interval)
            try:
                await self._look()
            except Exception:
                _log.exception("the model repository could not be followed")

    async def _look(self) -> None:
        if await self._control.changes():
            await self._sleep(min(SETTLE_SECONDS, self._interval))
            await self._control.follow()
