"""Batches of models that take lists: each request stays what it is, and has an outcome of its own; merges nothing."""

from __future__ import annotations

from collections.abc import Hashable

from ..errors import OIPError
from ..protocol import InferRequest, InferResponse, Timings
from .batching import COMMON_FAILURES, BatchScheduler
from .compatible import batch_key
from .queue import Entry


class ListScheduler(BatchScheduler):
    """Hands the requests of a batch over as they came. A request that fails for a reason of its own fails alone."""

    def _key(self, request: InferRequest) -> Hashable | None:
        return batch_key(request, headers=False, parameters=False)  # none of them could reach another request

    async def _execute(self, entries: list[Entry]) -> None:
        if len(entries) == 1:
            await super()._execute(entries)
            return
        dispatched = self._clock()
        try:
            outcomes = await self._executor.execute_all([entry.request for entry in entries])
        except COMMON_FAILURES:
            raise
        except OIPError:
            if self._policy.stateful:
                raise
            self._one_by_one(entries)
            return
        answered = [outcome for outcome in outcomes if isinstance(outcome, InferResponse)]
        finished = self._clock()
        if answered:
            timings = _timings(answered[0])
            timings.dispatched, timings.finished = dispatched, finished
            self._statistics.record_execution(sum(entry.rows for entry in entries), timings)
        for entry, outcome in zip(entries, outcomes, strict=True):
            if isinstance(outcome, InferResponse):
                known = _timings(outcome)
                outcome.timings = Timings(entry.received, dispatched, known.infer_start, known.infer_end, finished)
            entry.finish(outcome)


def _timings(response: InferResponse) -> Timings:
    assert response.timings is not None, "an executor stamps every response"
    return response.timings
