"""What a model's settings say about waiting and batching, in the units schedulers count in; knows no queue."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..protocol import InferRequest
from ..settings import ModelSettings, Settings
from ..tensor import Parameters

_NS_PER_US = 1_000


@dataclass(frozen=True, slots=True)
class LevelRule:
    """How the requests of one priority wait, where the model's configuration says it.

    ``max_queue_size`` of them may wait (0: as many as the queue takes), each for ``timeout`` nanoseconds, or as long as
    its own parameter ``timeout`` says where that is shorter and ``may_shorten``. Who has waited that long is refused,
    or, with ``delays``, served after all others of its level.
    """

    max_queue_size: int = 0
    timeout: int | None = None
    may_shorten: bool = False
    delays: bool = False


@dataclass(frozen=True, slots=True)
class QueuePolicy:
    """How requests wait.

    ``max_queue_size`` requests may wait, each for ``queue_timeout`` nanoseconds (None: as long as its caller does).
    Priority 1 of ``priority_levels`` is served first; 0 levels means that requests have no priority.
    ``rules``, one for each level, take the place of ``queue_timeout`` where the model's configuration gives them.
    ``batchless`` tells that the model has no batch dimension: each request counts as one inference.

    ``lines_per_level`` follows from the rules: 1, or 2 where the second is for those who have waited for too long.
    """

    max_queue_size: int
    queue_timeout: int | None = None
    priority_levels: int = 0
    default_priority: int = 0
    rules: tuple[LevelRule, ...] = ()
    batchless: bool = False
    lines_per_level: int = field(default=1, init=False)

    def __post_init__(self) -> None:
        if any(rule.delays for rule in self.rules):
            object.__setattr__(self, "lines_per_level", 2)  # the way of frozen classes

    @property
    def lines(self) -> int:
        """Lines to wait in, from the first served to the last: one per level, or two where a level delays."""
        return max(1, self.priority_levels) * self.lines_per_level

    def rule(self, line: int) -> LevelRule | None:
        """The configured rule for who waits in ``line``, if any."""
        return self.rules[line // self.lines_per_level] if self.rules else None

    def line(self, parameters: Parameters) -> int:
        """The line to wait in, 0 the first served."""
        return self.level(parameters) * self.lines_per_level

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

    def queue_deadline(self, request: InferRequest, received: int, line: int = 0) -> int | None:
        """The instant (``time.monotonic_ns``) at which ``request`` gives up waiting in ``line``, if any.

        It is the earlier of the request's own deadline and the end of its ``patience``.
        """
        deadline = request.deadline
        if self.queue_timeout is None and not (self.rules or request.parameters):
            return deadline
        patience = self.patience(request, received, line)
        if deadline is None or patience is None:
            return patience if deadline is None else deadline
        return min(deadline, patience)

    def patience(self, request: InferRequest, received: int, line: int = 0) -> int | None:
        """The instant at which ``request`` has waited in ``line`` for as long as the queue allows, if any.

        ``queue_timeout``, or the request parameter ``timeout`` where it is shorter: microseconds, where it is an
        integer above 0; a ``timeout`` of any other type is the model's business. Or what the line's rule says instead.
        """
        timeout, may_shorten = self.queue_timeout, True
        rule = self.rule(line)
        if rule is not None:
            if line % self.lines_per_level:
                return None  # it is late already
            timeout, may_shorten = rule.timeout, rule.may_shorten
        wanted = request.parameters.get("timeout") if request.parameters and may_shorten else None
        if type(wanted) is int and wanted > 0:
            wanted *= _NS_PER_US
            timeout = wanted if timeout is None else min(timeout, wanted)
        return None if timeout is None else received + timeout


@dataclass(frozen=True, slots=True)
class BatchPolicy(QueuePolicy):
    """How requests are put together.

    A batch has at most ``max_batch_size`` rows. ``max_batch_time`` (nanoseconds) is the longest that requests may be
    held back to fill one although they could run. Reaching one of ``preferred_batch_sizes`` (ascending) ends the
    holding, and batches are cut to the largest of them they reach. ``independent_rows`` allows splitting a request
    larger than a batch.
    ``stateful`` models never see a row twice, so nothing is retried. ``ordered``: answers leave in the order of their
    requests.
    """

    max_batch_size: int = 1
    max_batch_time: int = 0
    preferred_batch_sizes: tuple[int, ...] = ()
    independent_rows: bool = False
    stateful: bool = False
    ordered: bool = False

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
