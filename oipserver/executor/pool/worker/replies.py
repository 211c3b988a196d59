"""Answers of calls in a worker, as frames; knows no task and runs no model."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from typing import Any

from ....errors import Code, InternalError, OIPError
from ....protocol import InferResponse
from .. import messages
from ..frames import Kind, encode
from ..memory import SharedMemory
from ..messages import Cost
from .lease import Lease
from .loaded import LoadedModel
from .outbox import Outbox

_log = logging.getLogger(__name__)

Reply = tuple[Kind, list[Any], Sequence[bytes | memoryview]]  # kind, metadata and inline data of a frame


class Replies:
    """Makes frames of answers and sends them; keeps an eye on requests whose data a model keeps beyond its answer."""

    def __init__(self, memory: SharedMemory, outbox: Outbox) -> None:
        self._memory = memory
        self._outbox = outbox
        self._late: dict[int, Lease] = {}  # answered calls whose data a model keeps

    def lease(self, id_: int) -> Lease:
        """What watches the data of the call's request."""
        return Lease(partial(self._let_go, id_))

    def answer(self, kind: Kind, response: InferResponse, cost: Cost) -> Reply:
        """What a frame of ``kind`` says of ``response``, its data being where the server finds it."""
        block = messages.place(response.outputs, self._memory.answers)
        return kind, messages.write_response(response, block, cost), block.inline

    def frame(self, id_: int, kind: Kind, meta: list[Any], inline: Sequence[bytes | memoryview]) -> bytes:
        """A frame of an answer. Raises InternalError where the answer's metadata cannot be sent."""
        try:
            return encode(kind, id_, meta, *inline)
        except (TypeError, ValueError) as error:
            start = meta[1][0]
            if start >= 0:
                self._memory.answers.free(start)
            raise InternalError(f"the model's answer cannot be sent: {error}") from None

    def reply(
        self,
        id_: int,
        lease: Lease,
        kind: Kind,
        meta: list[Any],
        inline: Sequence[bytes | memoryview],
        *,
        later: bool = False,
    ) -> None:
        """Send the last frame of a call, now or with a ``later`` one.

        Its first item tells whether the request's data is free again.
        """
        held = lease.held
        meta[0] = not held
        try:
            frame = self.frame(id_, kind, meta, inline)
        except InternalError as error:
            frame = encode(Kind.ERROR, id_, [not held, error.code.value, error.message, None, None])
        if later:
            self._outbox.put(frame)
        else:
            self._outbox.send(frame)
        if held:
            self._late[id_] = lease
            lease.watch()

    def _let_go(self, id_: int) -> None:
        if self._late.pop(id_, None) is not None:
            self._outbox.post(encode(Kind.RELEASE, id_))


def error(code: Code, message: str, retry_after: float | None = None, status_code: int | None = None) -> Reply:
    """The end of a call that failed."""
    return Kind.ERROR, [True, code.value, message, retry_after, status_code], ()


def unreadable(model: str, reason: Exception) -> Reply:
    """The end of a call of ``model`` whose frame makes no sense: that fails this call and not the worker."""
    return error(Code.INTERNAL, f"model '{model}': the request did not survive the way to its worker: {reason}")


def too_many() -> Reply:
    """The end of a call for which there is no room."""
    return error(Code.RESOURCE_EXHAUSTED, "this worker executes too many calls; try later")


def failure(model: LoadedModel, reason: BaseException) -> Reply:
    """The end of a call that ``reason`` ended; what is no error of the model's own is logged."""
    if isinstance(reason, OIPError):
        return error(reason.code, reason.message, reason.retry_after, reason.status_code)
    name = model.settings.name
    _log.error("an answer of model '%s' could not be used", name, exc_info=reason)
    return error(Code.INTERNAL, f"model '{name}' failed: {type(reason).__name__}: {reason}")
