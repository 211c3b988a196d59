"""One place in a pool, filled by one worker after another; decides when a dead worker is replaced and when no more."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from ...settings import Settings
from .backoff import Backoff
from .model import PoolModel
from .order import WorkerOrder
from .owner import Owner
from .remote import RemoteWorker
from .states import WorkerGoneError

_log = logging.getLogger(__name__)

_STARTS = 3  # of a seat's first worker: one may be killed, by whomever, before it says hello
_START_TIMEOUT = 60.0  # seconds for an interpreter to start and say hello, on however loaded a machine


@dataclass(frozen=True, slots=True)
class Timers:
    """Time, so that tests can have their own: seconds of a clock that only goes forward, and sleeping by it."""

    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


class Crew(Owner, Protocol):
    """The pool, as a seat sees it."""

    def models_now(self) -> list[PoolModel]:
        """What a new worker must load."""

    def seat_changed(self) -> None:
        """Its worker was started or replaced, or the seat was given up."""


class Seat:
    """Keeps one worker running. ``failure`` says why it was given up, "" while it was not."""

    def __init__(self, order: WorkerOrder, crew: Crew, settings: Settings, timers: Timers, hint: str) -> None:
        """``hint`` is what to try when a worker does not even start."""
        self._order = order
        self._crew = crew
        self._settings = settings
        self._timers = timers
        self._hint = hint
        self._backoff = Backoff(settings.worker_max_deaths, settings.worker_deaths_window)
        self._greeted = False  # whether any worker of this seat ever came up
        self._task: asyncio.Task[None] | None = None
        self.worker: RemoteWorker | None = None
        self.failure = ""
        self.deaths = 0  # of its workers, ever
        self.restarts = 0  # workers started in place of dead ones, ever

    def start(self) -> None:
        """Start filling the seat, anew where it was given up."""
        if self._task is None or self._task.done():
            self.failure = ""
            self._backoff.forget()
            self._task = asyncio.get_running_loop().create_task(self._fill())

    async def stop(self, patience: float) -> None:
        """Stop the worker and leave the seat empty."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        if self.worker is not None:
            await self.worker.stop(patience)

    async def _fill(self) -> None:
        delay: float | None = 0.0
        while delay is not None:
            if delay:
                await self._timers.sleep(delay)
            started = self._timers.clock()
            reason = await self._one_worker()
            self.deaths += 1
            now = self._timers.clock()
            hopeless = not self._greeted and self.deaths >= _STARTS
            delay = None if hopeless else self._backoff.after_death(now, now - started)
            pid = self.worker.pid if self.worker is not None else 0
            if delay is None:
                self.failure = self._why(reason)
                _log.error("worker %d %s; it is not replaced: %s", pid, reason, self.failure)
            else:
                _log.warning("worker %d %s; it is replaced in %g s", pid, reason, delay)
            self._crew.seat_changed()

    def _why(self, reason: str) -> str:
        if not self._greeted:
            return f"its worker {reason} before it was ready{self._hint}"
        settings = self._settings
        limit = f"{settings.worker_max_deaths} deaths within {settings.worker_deaths_window:g} s"
        return f"its workers keep dying ({limit}; the last one {reason}); reload the model to try again"

    async def _one_worker(self) -> str:
        """The life of one worker; returns how it ended."""
        self.worker = None
        try:
            self.worker = worker = RemoteWorker(self._order, self._crew)
        except OSError as error:
            return f"could not be started: {error}"
        self.restarts += self.deaths > 0
        self._crew.seat_changed()
        watchers = [asyncio.create_task(self._bring_up(worker)), asyncio.create_task(self._watch(worker))]
        try:
            return await asyncio.shield(worker.ended)
        finally:
            for task in watchers:
                task.cancel()
            await asyncio.gather(*watchers, return_exceptions=True)

    async def _bring_up(self, worker: RemoteWorker) -> None:
        """Have a new worker load what is loaded now."""
        try:
            async with asyncio.timeout(_START_TIMEOUT):
                await asyncio.shield(worker.hello)
        except TimeoutError:
            worker.kill(f"did not start within {_START_TIMEOUT:g} s")
        except WorkerGoneError:
            return
        self._greeted = True
        limit = self._settings.model_load_timeout
        for model in self._crew.models_now():
            try:
                async with asyncio.timeout(limit):
                    await worker.load(model)
            except TimeoutError:
                worker.kill(f"did not load model '{model.name}' within {limit:g} s")
            except WorkerGoneError:
                return
            except Exception as error:
                _log.error("worker %d: %s", worker.pid, error)

    async def _watch(self, worker: RemoteWorker) -> None:
        """Kill the worker when it hangs."""
        timeout = self._settings.worker_heartbeat_timeout
        while True:
            await asyncio.sleep(timeout / 4)
            worker.trim()
            if not worker.calls or worker.loading:  # a load has a time limit of its own
                continue
            if time.monotonic_ns() - worker.last_sign_of_life > timeout * 1e9:
                worker.kill(f"hung: no sign of life for {timeout:g} s while it had {len(worker.calls)} calls")
