"""A pool: workers that are alike, the models all of them have loaded, and their calls; knows no settings file."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Sequence

from ...errors import ModelLoadError, OIPError, UnavailableError
from ...peers import Caller
from ...runtime import ModelFace
from ...settings import Settings
from .calls import Call
from .dispatch import RETRY_AFTER, Dispatcher
from .model import PoolModel
from .order import WorkerOrder
from .remote import RemoteWorker
from .seat import Seat, Timers
from .states import WorkerGoneError

_log = logging.getLogger(__name__)

_keys = itertools.count(1)  # of models, in all pools
_LOAD_ATTEMPTS = 2  # of a model, as far as workers die on the way


class Pool:
    """Keeps its seats filled, loads every model into every worker, and sees to it that no call is lost.

    It starts its workers with the first model. When all seats were given up, its models are unavailable with the
    reason; loading any model into it tries again.
    """

    def __init__(
        self,
        name: str,
        orders: Sequence[WorkerOrder],
        settings: Settings,
        timers: Timers,
        hint: str = "",
        caller: Caller | None = None,
    ) -> None:
        """One worker for each of ``orders``; ``caller`` passes on what models ask of other models."""
        self.name = name
        self.caller = caller
        self._settings = settings
        self._models: dict[int, PoolModel] = {}
        self._calls = itertools.count(1)
        self._dispatcher = Dispatcher(settings.worker_retry)
        self._seats = [Seat(order, self, settings, timers, hint) for order in orders]
        self._turnover = asyncio.Event()  # set and cleared at once: wakes who waits for any change of the seats
        self.reason = ""  # why nothing in it can be executed; "" while something can
        self._closed = False

    @property
    def workers(self) -> list[RemoteWorker]:
        """The workers that have not ended."""
        return [seat.worker for seat in self._seats if seat.worker is not None and seat.worker.alive]

    @property
    def deaths(self) -> int:
        """Workers that ended although nobody asked them to, and those that could not be started."""
        return sum(seat.deaths for seat in self._seats)

    @property
    def restarts(self) -> int:
        """Workers started in place of dead ones."""
        return sum(seat.restarts for seat in self._seats)

    @property
    def waiting(self) -> int:
        """Calls that no worker has now."""
        return self._dispatcher.waiting

    # -- models --------------------------------------------------------------------------------------------------

    async def load(self, model: PoolModel) -> ModelFace:
        """Load ``model`` into every worker. Raises ModelLoadError; it is in none of them then."""
        if self._closed:
            raise ModelLoadError(f"model '{model.name}': the server is stopping")
        self.reason = ""
        for seat in self._seats:
            seat.start()
        self._models[model.key] = model
        limit = self._settings.model_load_timeout
        try:
            return await self._load_everywhere(model)
        except TimeoutError:
            await self._remove(model, kill=True)
            raise ModelLoadError(
                f"model '{model.name}' was not loaded within {limit:g} s (model_load_timeout)"
            ) from None
        except BaseException:
            await asyncio.shield(self._remove(model, kill=True))
            raise

    async def _load_everywhere(self, model: PoolModel) -> ModelFace:
        attempts = 0
        while True:
            if self.reason:
                raise ModelLoadError(f"model '{model.name}': {self.reason}")
            workers = self.workers
            results = await asyncio.gather(
                *(self._load_into(worker, model) for worker in workers), return_exceptions=True
            )
            gone = [result for result in results if isinstance(result, WorkerGoneError)]
            for result in results:
                if isinstance(result, BaseException) and not isinstance(result, WorkerGoneError):
                    raise result
            if any(worker.greeted for worker, result in zip(workers, results, strict=True) if result in gone):
                attempts += 1  # one that did not even start says nothing about the model
                if attempts >= _LOAD_ATTEMPTS:
                    raise ModelLoadError(f"model '{model.name}': the worker loading it {gone[0]}")
            elif results and not gone:
                return next(result for result in results if isinstance(result, ModelFace))
            if gone or not self.workers:
                await self._next_worker()

    async def _load_into(self, worker: RemoteWorker, model: PoolModel) -> ModelFace:
        await asyncio.shield(worker.hello)  # starting an interpreter is no model's time
        async with asyncio.timeout(self._settings.model_load_timeout):
            return await worker.load(model)

    async def _next_worker(self) -> None:
        while not self.workers and not self.reason:
            await self._turnover.wait()

    async def unload(self, model: PoolModel) -> None:
        """Take ``model`` out of every worker."""
        await self._remove(model, kill=False)

    async def _remove(self, model: PoolModel, *, kill: bool) -> None:
        """``kill``: also where a worker must die for it; else one that is stuck unloads it when it comes to it."""
        self._models.pop(model.key, None)
        model.workers.clear()
        gone = UnavailableError(f"model '{model.name}' is not available: it was unloaded", retry_after=RETRY_AFTER)
        self._dispatcher.fail(gone, lambda other: other is model)
        await asyncio.gather(*(self._remove_from(worker, model, kill) for worker in self.workers))

    async def _remove_from(self, worker: RemoteWorker, model: PoolModel, kill: bool) -> None:
        limit = self._settings.parallel_workers_timeout
        try:
            async with asyncio.timeout(limit):
                await worker.unload(model)
        except TimeoutError:
            if kill:
                worker.kill(f"was stuck loading model '{model.name}'")
            else:
                _log.warning("worker %d did not unload model '%s' within %g s", worker.pid, model.name, limit)
        except WorkerGoneError:
            pass

    # -- calls ---------------------------------------------------------------------------------------------------

    def next_id(self) -> int:
        """A number no other call of this pool has."""
        return next(self._calls)

    def submit(self, call: Call) -> None:
        """Have ``call`` executed. Raises OIPError where that cannot even begin."""
        self._dispatcher.submit(call)

    def abandon(self, call: Call) -> None:
        """Nobody waits for ``call`` any more."""
        if call.abandoned:
            return
        call.abandoned = True
        if call.worker is None:
            self._dispatcher.abandon(call)
        else:
            call.model.abandon(1)
            call.worker.cancel(call)

    def give_credit(self, call: Call) -> None:
        """A part of a stream was read."""
        if call.worker is not None:
            call.worker.give_credit(call, 1)

    def why_not(self, model: PoolModel) -> str:
        """Why ``model`` cannot be executed now, "" while it can."""
        if model.workers:
            return ""
        return self.reason or model.reason or "its worker is being replaced"

    # -- what workers and seats tell -----------------------------------------------------------------------------

    def models_now(self) -> list[PoolModel]:
        """What a new worker must load."""
        return list(self._models.values())

    def worker_loaded(self, worker: RemoteWorker, key: int, face: ModelFace) -> None:
        """A model was loaded in it."""
        model = self._models.get(key)
        if model is not None:
            model.loaded(face)
            model.workers.append(worker)
            self._dispatcher.settle()
            model.changed()

    def worker_failed_to_load(self, worker: RemoteWorker, key: int, error: OIPError) -> None:
        """A model could not be loaded in it."""
        model = self._models.get(key)
        if model is not None and not model.workers:
            model.reason = error.message
            failed = UnavailableError(f"model '{model.name}' is not available: {error.message}")
            self._dispatcher.fail(failed, lambda other: other is model)
            model.changed()

    def call_finished(self, worker: RemoteWorker, call: Call) -> None:
        """A call was answered or failed."""
        if call.abandoned:
            call.model.abandon(-1)
        self._dispatcher.finished(worker)

    def worker_ended(self, worker: RemoteWorker, calls: Sequence[Call], executing: set[int]) -> None:
        """It is gone with ``calls`` unanswered."""
        for model in self._models.values():
            if worker in model.workers:
                model.workers.remove(worker)
                model.reason = f"its worker {worker.reason} and is being replaced"
        self._dispatcher.ended(worker, calls, executing)
        if self._closed:
            self._refuse_what_waits()
        self._tell_all()

    def seat_changed(self) -> None:
        """A worker was started or replaced, or a seat was given up."""
        if all(seat.failure for seat in self._seats) and not self._closed:
            self.reason = self._seats[0].failure
            self._refuse_what_waits()
            self._tell_all()
        self._turnover.set()
        self._turnover.clear()

    def _refuse_what_waits(self) -> None:
        self._dispatcher.fail(UnavailableError(f"the model is not available: {self.reason}", retry_after=RETRY_AFTER))

    def _tell_all(self) -> None:
        for model in list(self._models.values()):
            model.changed()

    # -- the end -------------------------------------------------------------------------------------------------

    async def close(self) -> None:
        """Stop the workers: what they execute may finish within parallel_workers_timeout."""
        self._closed = True
        self.reason = "the server is stopping"
        self._refuse_what_waits()
        await asyncio.gather(*(seat.stop(self._settings.parallel_workers_timeout) for seat in self._seats))
        self._turnover.set()  # there is no next worker


def new_model_key() -> int:
    """A key no other model has."""
    return next(_keys)
