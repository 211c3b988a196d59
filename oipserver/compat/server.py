"""``MLServer``: a server that is started from Python code and runs until it is stopped."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from ..app import Server, StartReport, run_until, stop_on_signals
from ..settings import ModelSettings, Settings
from ..telemetry.logs import configure_logging

_log = logging.getLogger(__name__)


class MLServer:
    """A server over ``settings.model_repository_root``, for programs that bring their own event loop.

    ``start`` once; ``stop`` from another task, or by SIGTERM or SIGINT.
    """

    def __init__(self, settings: Settings) -> None:
        """Raises InvalidArgumentError where the settings cannot be used."""
        configure_logging(settings)
        self._server = Server(settings, Path(settings.model_repository_root))
        self._stopping = asyncio.Event()
        self._stopped = asyncio.Event()
        self._started = asyncio.Event()
        self._report: StartReport | None = None

    async def start(self, models_settings: Sequence[ModelSettings] = ()) -> None:
        """Serve ``models_settings``, until stopped. Raises OIPError where the server cannot start, RuntimeError where
        it was started before."""
        with ExitStack() as signals:
            try:
                signals.enter_context(stop_on_signals(self._stopping))
            except (ValueError, RuntimeError):
                _log.debug("not in the main thread: signals do not stop this server")
            try:
                await run_until(self._stopping, self._server, self._announce, models_settings)
            finally:
                self._stopped.set()

    async def started(self) -> StartReport:
        """Wait until the models are loaded: what is served, and on which ports."""
        await self._started.wait()
        assert self._report is not None, "announced first"
        return self._report

    async def stop(self, sig: int | None = None) -> None:
        """Finish what is in flight, and wait until ``start`` has returned."""
        if sig is not None:
            _log.info("%s: finishing what is in flight", signal.Signals(sig).name)
        self._stopping.set()
        await self._stopped.wait()

    def _announce(self, report: StartReport) -> None:
        self._report = report
        for problem in report.problems:
            _log.error("%s", problem)
        _log.info(
            "serving %d models on http://%s:%s and gRPC port %s",
            len(report.models),
            report.host,
            report.http_port,
            report.grpc_port,
        )
        self._started.set()
