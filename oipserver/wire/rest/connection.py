"""An HTTP/1.1 connection that answers inference requests itself and leaves every other request to uvicorn."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from time import perf_counter
from typing import Any
from urllib.parse import quote

import httptools
from uvicorn._types import ASGI3Application
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.protocols.utils import get_client_addr
from uvicorn.server import ServerState

from ...errors import ResourceExhaustedError
from .cycle import InferCycle
from .door import InferDoor
from .eager import run_eagerly
from .errors import INTERNAL_MESSAGE, error_body, error_reply, message_reply
from .handler import match_infer_path
from .idle import IdleWatch
from .large_body import LargeBody
from .observer import INFER_TEMPLATE, INFER_VERSION_TEMPLATE
from .reply import Reply, render_head

_log = logging.getLogger(__name__)

LARGE = 64 * 1024  # bytes of a body from which memory of its own pays
_JOIN = 64 * 1024  # bytes of an answer up to which one copy is cheaper than a vectored write
_MAX_HEAD = 64 * 1024
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_UPGRADE_HEADERS = frozenset({b"connection", b"upgrade", b"http2-settings"})
_CLOSE = b"connection: close\r\n"


class RestConnection(HttpToolsProtocol):
    """uvicorn's connection with a short way for inference requests.

    Answers leave in the order of their requests, whoever makes them: both kinds share uvicorn's pipeline. A request
    whose client leaves is cancelled. While an answer waits for the client to read, no further request is begun.
    """

    cycle: Any
    _watch: IdleWatch

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        door: InferDoor,
        loop: asyncio.AbstractEventLoop,
        gone: Callable[[], None],
    ) -> None:
        """``gone`` is called when the connection is."""
        super().__init__(config, server_state, app_state, loop)
        self.door = door
        self._gone = gone
        self._running: InferCycle | None = None  # the request whose answer is being made or sent
        self._in_head = False
        self._head_size = 0  # bytes of an unfinished head, those of the piece it began in left out
        self._discarding = False  # what comes is the rest of a refused body

    # -- the connection ------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch = IdleWatch(
            self.loop, transport, self.door.idle_timeout, self._clients_turn, lambda: self.flow.write_paused
        )

    def connection_lost(self, exc: Exception | None) -> None:
        self._watch.stop()
        self.pipeline.clear()
        running, self._running = self._running, None
        if running is not None and running.task is not None:
            running.disconnected = True
            running.task.cancel()
        super().connection_lost(exc)
        self._gone()

    def data_received(self, data: bytes) -> None:
        if self._discarding:
            return
        self._watch.heard()
        if self._in_head:
            self._head_size += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._decline_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserCallbackError as error:
            _log.error("a request could not be taken", exc_info=error.__context__ or error)
            self._refuse_connection(500, INTERNAL_MESSAGE)
        except httptools.HttpParserError:
            self._refuse_connection(400, "Invalid HTTP request received.")
        else:
            if self._in_head and self._head_size > _MAX_HEAD:
                self._refuse_connection(431, "the headers of the request are too large", self.door.linger)
            self._receive_rest()

    def _decline_upgrade(self, rest: bytes) -> None:
        """Take a request that offers another protocol (h2c, say) as if it did not. The parser has stopped behind its
        head, so a new one gets that head again, without the offer, and the ``rest``."""
        if self.parser.get_method() == b"CONNECT":
            self._refuse_connection(400, "this server is no proxy")
            return
        head = [self.parser.get_method(), b" ", self.url, b" HTTP/1.1\r\n"]
        for name, value in self.headers:
            if name not in _UPGRADE_HEADERS:
                head += [name, b": ", value, b"\r\n"]
        self._renew_parser()
        self.data_received(b"".join([*head, b"\r\n", rest]))

    def _renew_parser(self) -> None:
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)

    def _clients_turn(self) -> bool:
        cycle = self.cycle
        return cycle is None or cycle.response_complete or (cycle.more_body and not self.flow.read_paused)

    def _refuse_connection(self, status: int, message: str, linger: float = 0.0) -> None:
        """Answer what is no request, unless an earlier one is being answered: then only the end of that is awaited."""
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete and not (cycle.more_body and self._is_first(cycle)):
            cycle.keep_alive = False
            self.flow.pause_reading()
            return
        self._discarding, self._in_head = True, False
        body = error_body(message)
        self.transport.write(
            b"%bcontent-type: application/json\r\ncontent-length: %d\r\n%b\r\n%b"
            % (STATUS_LINE[status], len(body), _CLOSE, body)
        )
        if linger:
            self.loop.call_later(linger, self.transport.close)
        else:
            self.transport.close()

    def _is_first(self, cycle: RequestResponseCycle) -> bool:
        return not self.pipeline and (not isinstance(cycle, InferCycle) or cycle.active)

    # -- what the parser tells -----------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self.url = b""
        self.expect_100_continue = False
        self.headers = []
        self._in_head, self._head_size = True, 0

    def on_headers_complete(self) -> None:
        self._in_head = False
        if self.parser.should_upgrade():
            return
        url = self.url
        if self.parser.get_method() == b"POST":
            target = match_infer_path(self._path(url))
            if target is not None:
                self._begin(url, target)
                return
        headers, expects = self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url = url if url.isascii() else quote(url, safe="%/:?#[]@!$&'()*+,;=").encode()
        self.headers.extend(headers)
        self.expect_100_continue = expects
        self.server_state.default_headers = [(b"date", self.door.date())]
        super().on_headers_complete()

    def _path(self, url: bytes) -> bytes:
        path = url.partition(b"?")[0]
        root = self.door.root_path
        return path[len(root) :] if root and path.startswith(root + b"/") else path

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

    def _begin(self, url: bytes, target: tuple[str, str]) -> None:
        """Take an infer request whose headers are there."""
        parser, before = self.parser, self.cycle
        cycle = self.cycle = InferCycle(
            url,
            target,
            self.headers,
            keep_alive=parser.get_http_version() == "1.1" and parser.should_keep_alive(),
            expects=self.expect_100_continue,
        )
        length = next((int(value) for name, value in self.headers if name == b"content-length"), 0)
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
        self._discarding = True
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
        name, version = cycle.target
        task = run_eagerly(door.handler.handle(name, version, cycle.headers, cycle.take_body()), self.loop)
        self._running = cycle
        if task.done():
            self._done(cycle, task)
        else:
            cycle.task = task
            self.tasks.add(task)  # type: ignore[arg-type]  # a task, though the eager one of 3.11 is no subclass
            task.add_done_callback(self.tasks.discard)
            task.add_done_callback(partial(self._done, cycle))

    def _done(self, cycle: InferCycle, task: asyncio.Future[Reply]) -> None:
        cycle.task = None
        if cycle.disconnected:
            self._observe(cycle, 499)
        elif task.cancelled():
            self._answer(cycle, message_reply(503, "the request was cancelled: the server is stopping"))
        else:
            self._answer(cycle, task.result())

    def _answer(self, cycle: InferCycle, reply: Reply) -> None:
        door, transport, buffers = self.door, self.transport, reply.buffers
        extra = b"date: %b\r\n" % door.date()
        if door.cors is not None:
            extra += door.cors.lines(cycle.headers)
        if not cycle.keep_alive:
            extra += _CLOSE
        size = reply.size
        head = render_head(reply, size, extra)
        self._running = cycle
        if size <= _JOIN:
            transport.write(b"".join((head, *buffers)))
        else:
            transport.writelines((head, *buffers))
        self._observe(cycle, reply.status)
        if not self.flow.write_paused:
            self._complete(cycle)

    def _observe(self, cycle: InferCycle, status: int) -> None:
        """Tell those who count and those who read logs."""
        if self.door.observer is not None:
            template = INFER_VERSION_TEMPLATE if cycle.target[1] else INFER_TEMPLATE
            self.door.observer.finished("POST", template, status, perf_counter() - cycle.started)
        if self.access_log:
            client = get_client_addr({"client": self.client})  # type: ignore[arg-type]
            self.access_logger.info(
                '%s - "%s %s HTTP/%s" %d', client, "POST", cycle.url.decode("latin-1"), "1.1", status
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
            self.loop.call_later(self.door.linger, self.transport.close)

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
        self._receive_rest()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._running is not None and self._running.task is None:
            self._complete(self._running)

    # -- large bodies --------------------------------------------------------------------------------------------

    def _receive_rest(self) -> None:
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
        self._renew_parser()
        cycle.more_body = False
        if cycle.active:
            self._run(cycle)
