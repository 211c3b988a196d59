"""Looks at the repository again and again and lets the control plane follow; knows no model."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from .control import ControlPlane

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
        """Until cancelled."""
        settle = min(SETTLE_SECONDS, self._interval)
        while True:
            await self._sleep(self._interval)
            if await self._control.changes():
                await self._sleep(settle)
                await self._control.follow()
