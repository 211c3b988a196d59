"""A batch from its first line to its last: threads that take, ask, retry and write; knows neither wire nor terminal."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Lock, Thread
from time import monotonic
from typing import BinaryIO

from ...errors import InvalidArgumentError, OIPError
from ...protocol import InferResponse, Timings
from ...scheduler.merge import merge, split
from .call import CallError, Client
from .progress import Progress
from .records import Item, answer_line, error_line, grouped, read_items, resume, rows_of

_log = logging.getLogger(__name__)

_PATIENCE = 5.0  # seconds that requests under way have to end after an interruption
_FIRST_WAIT, _LONGEST_WAIT = 0.25, 30.0  # seconds before a retry; doubled each time


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do. ``interval`` and ``jitter`` are seconds each worker waits between its requests."""

    input: Path
    output: Path
    model: str
    version: str = ""
    workers: int = 10
    retries: int = 3
    batch_size: int = 1
    interval: float = 0.0
    jitter: float = 0.0


@dataclass(slots=True)
class Summary:
    """What became of a batch."""

    answered: int = 0
    failed: int = 0
    skipped: int = 0


class Job:
    """One run of a batch. What the output holds already is not asked again; answers are written as they come."""

    def __init__(
        self,
        plan: Plan,
        connect: Callable[[], Client],
        progress: Callable[[int], Progress],
        *,
        stop: Event | None = None,
    ) -> None:
        """``connect`` makes the client of a worker; ``progress`` is told how many requests are done from before."""
        self._plan = plan
        self._connect = connect
        self._make_progress = progress
        self._stop = stop or Event()
        self._source_lock, self._sink_lock = Lock(), Lock()
        self._summary = Summary()
        self._failure: BaseException | None = None
        self._closed = False

    def run(self) -> Summary:
        """Do it. Raises OIPError where a file cannot be used; an interruption leaves an output that can be resumed."""
        plan = self._plan
        done = resume(plan.output)
        self._summary.skipped = len(done)
        groups = grouped(read_items(plan.input, plan.model, plan.version, done), plan.batch_size)
        progress = self._make_progress(len(done))
        try:
            with plan.output.open("ab") as sink:
                self._work(groups, sink, progress)
        except OSError as error:
            raise InvalidArgumentError(f"cannot write {plan.output}: {error.strerror}") from error
        finally:
            progress.close()
        return self._summary

    def _work(self, groups: Iterator[list[Item]], sink: BinaryIO, progress: Progress) -> None:
        """Let the workers do everything; an interruption waits for them a little, and no more is written then."""
        arguments = (groups, sink, progress)
        threads = [Thread(target=self._guard, args=arguments, daemon=True) for _ in range(self._plan.workers)]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                thread.join()
        finally:
            self._stop.set()
            until = monotonic() + _PATIENCE
            for thread in threads:
                thread.join(max(0.0, until - monotonic()))
            with self._sink_lock:
                self._closed = True
        if self._failure is not None:
            raise self._failure

    def _guard(self, groups: Iterator[list[Item]], sink: BinaryIO, progress: Progress) -> None:
        """Work, and take the whole job down where that fails in a way nobody expects, such as a full disk."""
        client = self._connect()
        try:
            while not self._stop.is_set() and (group := self._take(groups)):
                self._write(self._lines(client, group), sink, progress)
                pause = self._plan.interval + random.uniform(0, self._plan.jitter)
                if pause:
                    self._stop.wait(pause)
        except BaseException as error:
            self._failure = self._failure or error
            self._stop.set()
        finally:
            client.close()

    def _take(self, groups: Iterator[list[Item]]) -> list[Item] | None:
        with self._source_lock:
            return next(groups, None)

    def _write(self, lines: list[tuple[bytes, bool]], sink: BinaryIO, progress: Progress) -> None:
        with self._sink_lock:
            if self._closed:
                return
            for line, failed in lines:
                sink.write(line)
                self._summary.failed += failed
                self._summary.answered += not failed
                progress.add(failed=failed)
            sink.flush()

    def _lines(self, client: Client, group: list[Item]) -> list[tuple[bytes, bool]]:
        """The lines that answer ``group``, each with whether it is an error; none where the job is stopped."""
        first = group[0]
        if first.request is None:
            return [(error_line(first.index, "preprocessing error", first.problem), True)]
        try:
            if len(group) == 1:
                response = self._ask(client, first)
                return [(answer_line(first.index, response, first.request.id), False)]
            return self._together(client, group)
        except CallError as error:
            if self._stop.is_set():
                return []
            if len(group) == 1 or error.retry:
                return [(error_line(item.index, "inference error", error.message), True) for item in group]
        except OIPError as error:
            if len(group) == 1:
                return [(error_line(first.index, "postprocessing error", error.message), True)]
        # One of them may have spoiled it for the others.
        return [line for item in group for line in self._lines(client, [item])]

    def _together(self, client: Client, group: list[Item]) -> list[tuple[bytes, bool]]:
        merged = merge([item.request for item in group if item.request is not None])
        merged.id = group[0].request.id if group[0].request is not None else ""
        answer = self._ask(client, Item(group[0].index, merged))
        answer.timings = Timings()
        answers = split(answer, rows_of(group), merged.model_name)
        lines = []
        for item, own in zip(group, answers, strict=True):
            assert item.request is not None, "groups of several hold requests alone"
            own.id, own.model_version = item.request.id, answer.model_version
            lines.append((answer_line(item.index, own, merged.id), False))
        return lines

    def _ask(self, client: Client, item: Item) -> InferResponse:
        """The answer to a request, asked again while that may help. Raises CallError and OIPError."""
        assert item.request is not None, "there is a request"
        wait = _FIRST_WAIT
        for attempt in range(self._plan.retries + 1):
            try:
                return client.infer(item.request)
            except CallError as error:
                if not error.retry or attempt == self._plan.retries:
                    raise
                pause = max(random.uniform(wait / 2, wait), error.retry_after or 0.0)
                _log.info("request %d: %s; trying again in %.1f s", item.index, error.message, pause)
                if self._stop.wait(pause):
                    raise
                wait = min(wait * 2, _LONGEST_WAIT)
        raise AssertionError("the last attempt raises or returns")
