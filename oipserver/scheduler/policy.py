"""What a model's settings say about waiting and batching, in the units schedulers count in; knows no queue."""

from __future__ import annotations

from dataclasses import dataclass

from ..protocol import InferRequest
from ..settings import ModelSettings, Settings
from ..tensor import Parameters

_NS_PER_US = 1_000


@dataclass(frozen=True, slots=True)
class QueuePolicy:
    """How requests wait.

    ``max_queue_size`` requests may wait, each for ``queue_timeout`` nanoseconds (None: as long as its caller does).
    Priority 1 of ``priority_levels`` is served first; 0 levels means that requests have no priority.
    """

    max_queue_size: int
    queue_timeout: int | None = None
    priority_levels: int = 0
    default_priority: int = 0

    def level(self, parameters: Parameters) -> int:
        """The level to wait at, 0 the first served.

        The request parameter ``priority`` counts where it is an integer from 1 to ``priority_levels``; whatever else it
        is, the default priority holds (the middle one where none is set).
        """
        levels = self.priority_levels
        if not levels:
            return 0
        wanted = parameters.get("priority")
        if type(wanted) is int and 1 <= wanted <= levels:
            return wanted - 1
        return min(self.default_priority or (levels + 1) // 2, levels) - 1

    def queue_deadline(self, request: InferRequest, received: int) -> int | None:
        """The instant (``time.monotonic_ns``) at which ``request`` gives up waiting in the queue, if any.

        It is the earliest of the request's own deadline, ``queue_timeout``, and the request parameter ``timeout``:
        microseconds, where it is an integer above 0; a ``timeout`` of any other type is the model's business.
        """
        deadline = request.deadline
        timeout = self.queue_timeout
        wanted = request.parameters.get("timeout") if request.parameters else None
        if type(wanted) is int and wanted > 0:
            wanted *= _NS_PER_US
            timeout = wanted if timeout is None else min(timeout, wanted)
        if timeout is not None:
            deadline = received + timeout if deadline is None else min(deadline, received + timeout)
        return deadline


@dataclass(frozen=True, slots=True)
class BatchPolicy(QueuePolicy):
    """How requests are put together.

    A batch has at most ``max_batch_size`` rows. ``max_batch_time`` (nanoseconds) is the longest that requests may be
    held back to fill one although they could run. Reaching one of ``preferred_batch_sizes`` (ascending) ends the
    holding, and batches are cut to the largest of them they reach. ``independent_rows`` allows splitting a request
    larger than a batch.
    ``stateful`` models never see a row twice, so nothing is retried.
    """

    max_batch_size: int = 1
    max_batch_time: int = 0
    preferred_batch_sizes: tuple[int, ...] = ()
    independent_rows: bool = False
    stateful: bool = False

    @property
    def enough(self) -> int:
        """Rows that are worth dispatching without waiting for more."""
        return self.preferred_batch_sizes[0] if self.preferred_batch_sizes else self.max_batch_size

    def cut(self, rows: int) -> int:
        """The most rows to put into a batch where ``rows`` wait."""
        for preferred in reversed(self.preferred_batch_sizes):
            if preferred <= rows:
                return preferred
        return self.max_batch_size


def policy_of(model: ModelSettings, server: Settings) -> BatchPolicy:
    """The policy of ``model``; what it does not say, the server's settings do."""
    size = server.max_batch_size if model.max_batch_size is None else model.max_batch_size
    time = server.max_batch_time if model.max_batch_time is None else model.max_batch_time
    size = max(1, size or 1)
    return BatchPolicy(
        max_queue_size=model.max_queue_size or server.max_queue_size,
        queue_timeout=None if model.queue_timeout is None else _nanoseconds(model.queue_timeout),
        priority_levels=model.priority_levels,
        default_priority=model.default_priority,
        max_batch_size=size,
        max_batch_time=_nanoseconds(time or 0.0),
        preferred_batch_sizes=tuple(sorted({rows for rows in model.preferred_batch_size if 0 < rows <= size})),
        independent_rows=model.independent_rows and not model.stateful,
        stateful=model.stateful,
    )


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1e9)
