"""An HTTP/1.1 connection of uvicorn's, made safe against silent, endless and malformed clients; knows no inference."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from .errors import INTERNAL_MESSAGE, error_body
from .idle import IdleWatch

_log = logging.getLogger(__name__)

_MAX_HEAD = 64 * 1024
_UPGRADE_HEADERS = frozenset({b"connection", b"upgrade", b"http2-settings"})
CLOSE = b"connection: close\r\n"


class HttpConnection(HttpToolsProtocol):
    """One connection: its life and its limits. What a request means is for uvicorn and for subclasses to say.

    ``idle_timeout`` is how many seconds the client may be silent while it is its turn, ``linger`` how many it is given
    to read why it is cut off; ``gone`` is called when the connection is.
    """

    cycle: Any
    _watch: IdleWatch

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        loop: asyncio.AbstractEventLoop,
        idle_timeout: float,
        linger: float,
        gone: Callable[[], None],
    ) -> None:
        super().__init__(config, server_state, {}, loop)
        self._idle_timeout = idle_timeout
        self.linger = linger
        self._gone = gone
        self.in_head = False
        self._head_size = 0  # bytes of an unfinished head, those of the piece it began in left out
        self.discarding = False  # what comes is not going to be read

    def fed(self) -> None:
        """The parser has taken all that was there."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch = IdleWatch(
            self.loop, transport, self._idle_timeout, self._clients_turn, lambda: self.flow.write_paused
        )

    def connection_lost(self, exc: Exception | None) -> None:
        self._watch.stop()
        self.pipeline.clear()
        super().connection_lost(exc)
        self._gone()

    def data_received(self, data: bytes) -> None:
        if self.discarding:
            return
        self._watch.heard()
        if self.in_head:
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
            if self.in_head and self._head_size > _MAX_HEAD:
                self._refuse_connection(431, "the headers of the request are too large", self.linger)
            self.fed()

    def between_requests(self) -> bool:
        """Whether everything before was answered, and the next byte is the first of a request."""
        if self.in_head or self.discarding:
            return False
        last = self.cycle
        return last is None or (last.response_complete and last.keep_alive and not last.more_body)

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
        self.renew_parser()
        self.data_received(b"".join([*head, b"\r\n", rest]))

    def renew_parser(self) -> None:
        """Begin at a request's first byte again."""
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)

    def _clients_turn(self) -> bool:
        cycle = self.cycle
        return cycle is None or cycle.response_complete or (cycle.more_body and not self.flow.read_paused)

    def _refuse_connection(self, status: int, message: str, linger: float = 0.0) -> None:
        """Answer what is no request, unless an earlier one is being answered: then only the end of that is awaited."""
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete and not (cycle.more_body and not self.pipeline):
            cycle.keep_alive = False
            self.flow.pause_reading()
            return
        self.discarding, self.in_head = True, False
        body = error_body(message)
        self.settle()
        self.transport.write(
            b"%bcontent-type: application/json\r\ncontent-length: %d\r\n%b\r\n%b"
            % (STATUS_LINE[status], len(body), CLOSE, body)
        )
        if linger:
            self.loop.call_later(linger, self.transport.close)
        else:
            self.transport.close()

    def settle(self) -> None:
        """Write what was held back: something else is about to be written, or the connection to close."""

    def shutdown(self) -> None:
        self.settle()
        super().shutdown()

    def on_message_begin(self) -> None:
        self.url = b""
        self.expect_100_continue = False
        self.headers = []
        self.in_head, self._head_size = True, 0

    def leave_to_application(self) -> None:
        """Let uvicorn go on with the request whose head is complete."""
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url = url if url.isascii() else quote(url, safe="%/:?#[]@!$&'()*+,;=").encode()
        self.headers.extend(headers)
        self.expect_100_continue = expects
        super().on_headers_complete()
