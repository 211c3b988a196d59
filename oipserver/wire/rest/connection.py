"""An HTTP/1.1 connection that answers inference requests itself and leaves every other request to uvicorn."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from time import perf_counter

from uvicorn._types import ASGI3Application
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
from uvicorn.protocols.utils import get_client_addr
from uvicorn.server import ServerState

from ...errors import ResourceExhaustedError
from .cycle import InferCycle
from .door import InferDoor
from .eager import run_eagerly
from .errors import error_reply, message_reply
from .handler import match_infer_path, match_infer_url
from .head import Head
from .headers import HeaderView, whole_number
from .http_connection import CLOSE, HttpConnection
from .known_heads import KnownHeads
from .large_body import LargeBody
from .observer import INFER_TEMPLATE, INFER_VERSION_TEMPLATE
from .pending import PendingReply
from .reply import Reply, render_head

LARGE = 64 * 1024  # bytes of a body from which memory of its own pays
_JOIN = 64 * 1024  # bytes of an answer up to which one copy is cheaper than a vectored write
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class RestConnection(HttpConnection):
    """uvicorn's connection with a short way for inference requests.

    Answers leave in the order of their requests, whoever makes them: both kinds share uvicorn's pipeline. A request
    whose client leaves is cancelled. While an answer waits for the client to read, no further request is begun.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        door: InferDoor,
        loop: asyncio.AbstractEventLoop,
        gone: Callable[[], None],
    ) -> None:
        """``gone`` is called when the connection is."""
        super().__init__(config, server_state, loop, door.idle_timeout, door.linger, gone)
        self.door = door
        self._running: InferCycle | None = None  # the request whose answer is being made or sent
        self._heads = KnownHeads(min(LARGE, door.max_body))

    def connection_lost(self, exc: Exception | None) -> None:
        running, self._running = self._running, None
        if running is not None and running.task is not None:
            running.disconnected = True
            running.task.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if not self.between_requests():
            super().data_received(data)
            return
        known = self._heads.match(data)
        if known is not None:
            self._watch.heard()
            head, body = known
            self.cycle = cycle = InferCycle(head)
            cycle.add(body)
            cycle.more_body = False
            self._activate(cycle)
            return
        before = self.cycle
        super().data_received(data)
        cycle = self.cycle
        if cycle is not before and type(cycle) is InferCycle and cycle.plain:
            self._heads.learn(data, cycle.head)

    # -- what the parser tells -----------------------------------------------------------------------------------

    def on_headers_complete(self) -> None:
        self.in_head = False
        if self.parser.should_upgrade():
            return
        url = self.url
        if self.parser.get_method() == b"POST":
            plain = b"?" not in url and not self.door.root_path
            target = match_infer_path(url) if plain else match_infer_url(url, self.door.root_path)
            if target is not None:
                self._begin(Head(url, target, HeaderView(self.headers)))
                return
            scoring = self.door.scoring
            if scoring is not None and plain and (name := scoring.match(url)) is not None:
                self._begin(Head(url, (name, ""), HeaderView(self.headers), scoring))
                return
        self.server_state.default_headers = [(b"date", self.door.date())]
        self.leave_to_application()

    def on_chunk_header(self) -> None:
        cycle = self.cycle
        if type(cycle) is InferCycle and cycle.refusal is None:
            cycle.chunks += 1
            if cycle.chunks > self.door.max_chunks + 1:  # the last one is empty
                self._refuse_body(cycle, self.door.handler.refuse_chunks(self.door.max_chunks))

    def on_body(self, body: bytes) -> None:
        cycle = self.cycle
        if type(cycle) is not InferCycle:
            super().on_body(body)
        elif cycle.refusal is None:
            if cycle.received + len(body) > self.door.max_body:
                self._refuse_body(cycle, self.door.handler.refuse_size(cycle.received + len(body)))
            else:
                cycle.add(body)

    def on_message_complete(self) -> None:
        if self.parser.should_upgrade():
            return
        cycle = self.cycle
        if type(cycle) is not InferCycle:
            super().on_message_complete()
            return
        cycle.more_body = False
        if cycle.refusal is None:
            if cycle.active:
                self._run(cycle)
        elif cycle.response_complete:
            self.transport.close()

    # -- from request to answer ----------------------------------------------------------------------------------

    def _begin(self, head: Head) -> None:
        """Take an infer request whose headers are there."""
        parser, before = self.parser, self.cycle
        cycle = self.cycle = InferCycle(
            head,
            keep_alive=parser.get_http_version() == "1.1" and parser.should_keep_alive(),
            expects=self.expect_100_continue,
        )
        length = 0
        for name, value in head.headers.raw:
            if name == b"content-length":
                length = whole_number(value)
        if length > self.door.max_body:
            cycle.refusal = self.door.handler.refuse_size(length)
        elif length > LARGE:
            try:
                cycle.make_room(length)
            except MemoryError:
                error = ResourceExhaustedError(f"no memory for a request of {length} bytes now", retry_after=1.0)
                cycle.refusal = error_reply(error)
        if before is None or before.response_complete:
            self._activate(cycle)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((cycle, self.app))

    def _activate(self, cycle: InferCycle) -> None:
        """It is this request's turn."""
        cycle.active = True
        if cycle.refusal is not None:
            self._refuse_body(cycle, cycle.refusal)
        elif not cycle.more_body:
            self._run(cycle)
        elif cycle.waiting_for_100_continue and not cycle.received:
            self.settle()
            self.transport.write(_CONTINUE)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        """uvicorn's way to start the request whose turn it is; one of ours may have been waiting behind others."""
        if isinstance(cycle, InferCycle):
            self._activate(cycle)
        else:
            super()._start_asgi_task(cycle, app)

    def _refuse_body(self, cycle: InferCycle, refusal: Reply) -> None:
        """Answer without reading the body. The connection ends, since the next request could only be found behind it;
        but not at once: a client that is still sending would never see the answer."""
        cycle.refusal = refusal
        cycle.keep_alive = False
        self.discarding = True
        if cycle.active:
            cycle.started = perf_counter()
            if self.door.observer is not None:
                self.door.observer.started()
            self._answer(cycle, refusal)

    def _run(self, cycle: InferCycle) -> None:
        """Answer a request whose body is there."""
        door = self.door
        if door.observer is not None:
            cycle.started = perf_counter()
            door.observer.started()
        head = cycle.head
        name, version = head.target
        self._running = cycle
        handler = door.handler if head.scoring is None else head.scoring
        reply = handler.begin(name, version, head.headers, cycle.take_body())
        if isinstance(reply, Reply):
            self._answer(cycle, reply)
            return
        if isinstance(reply, PendingReply):
            cycle.task = reply
            self.tasks.add(reply)  # type: ignore[arg-type]  # it can be cancelled, and no more is done to them there
            reply.then(partial(self._told, cycle))
            return
        task = run_eagerly(reply, self.loop)
        if task.done():
            self._done(cycle, task)
        else:
            cycle.task = task
            self.tasks.add(task)  # type: ignore[arg-type]  # a task, though the eager one of 3.11 is no subclass
            task.add_done_callback(partial(self._done, cycle))

    def _done(self, cycle: InferCycle, task: asyncio.Future[Reply]) -> None:
        self._told(cycle, None if task.cancelled() else task.result())

    def _told(self, cycle: InferCycle, reply: Reply | None) -> None:
        """The reply is there; None: the request was cancelled."""
        self.tasks.discard(cycle.task)
        cycle.task = None
        if cycle.disconnected:
            self._observe(cycle, 499)
        else:
            self._answer(cycle, reply or message_reply(503, "the request was cancelled: the server is stopping"))

    def _answer(self, cycle: InferCycle, reply: Reply) -> None:
        door, transport, buffers = self.door, self.transport, reply.buffers
        extra = door.date_line()
        if door.cors is not None:
            extra += door.cors.lines(cycle.head.headers.raw)
        if not cycle.keep_alive:
            extra += CLOSE
        size = reply.size
        head = render_head(reply, size, extra)
        self._running = cycle
        if size > _JOIN:
            self.settle()
            transport.writelines((head, *buffers))
        else:
            answer = b"".join((head, *buffers))
            if cycle.keep_alive and len(self.connections) > 1:
                door.outbox.put(self.loop, transport, answer)
            else:
                self.settle()
                transport.write(answer)
        self._observe(cycle, reply.status)
        if not self.flow.write_paused:
            self._complete(cycle)

    def _observe(self, cycle: InferCycle, status: int) -> None:
        """Tell those who count and those who read logs."""
        if self.door.observer is not None:
            template = INFER_VERSION_TEMPLATE if cycle.head.target[1] else INFER_TEMPLATE
            if cycle.head.scoring is not None:
                template = cycle.head.scoring.template(cycle.head.target[0])
            self.door.observer.finished("POST", template, status, perf_counter() - cycle.started)
        if self.access_log:
            client = get_client_addr({"client": self.client})  # type: ignore[arg-type]
            self.access_logger.info(
                '%s - "%s %s HTTP/%s" %d', client, "POST", cycle.head.url.decode("latin-1"), "1.1", status
            )

    def _complete(self, cycle: InferCycle) -> None:
        """The answer has left, or is small enough to be forgotten."""
        self._running = None
        cycle.response_complete = True
        if cycle.keep_alive:
            self.on_response_complete()
            return
        self.server_state.total_requests += 1
        if cycle.refusal is None or not cycle.more_body:
            self.transport.close()
        else:
            self.flow.resume_reading()
            self.loop.call_later(self.linger, self.transport.close)

    def on_response_complete(self) -> None:
        """Turn to the next request of the connection, or wait for one."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self._watch.heard()
        if self.pipeline:
            # In a turn of its own: many waiting requests, each answered at once, would nest too deep.
            self.loop.call_soon(self._start_next)
        else:
            self.flow.resume_reading()

    def _start_next(self) -> None:
        if self.transport.is_closing() or not self.pipeline:
            return
        cycle, app = self.pipeline.pop()
        if not self.pipeline and cycle.more_body:
            self.flow.resume_reading()
        self._start_asgi_task(cycle, app)
        self.fed()

    def settle(self) -> None:
        self.door.outbox.flush()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._running is not None and self._running.task is None:
            self._complete(self._running)

    # -- large bodies --------------------------------------------------------------------------------------------

    def fed(self) -> None:
        """Let the rest of a large body, if one is coming and may be read now, go where it belongs."""
        cycle = self.cycle
        if type(cycle) is not InferCycle or cycle.room is None or not cycle.more_body or cycle.refusal is not None:
            return
        if not self.flow.read_paused and not self.transport.is_closing():
            LargeBody(
                self.transport, self, cycle.room, cycle.received, self._watch.heard, partial(self._received, cycle)
            )

    def _received(self, cycle: InferCycle) -> None:
        """A large body is complete. Its parser still waits for it: the next request gets a new one."""
        self.renew_parser()
        cycle.more_body = False
        if cycle.active:
            self._run(cycle)
