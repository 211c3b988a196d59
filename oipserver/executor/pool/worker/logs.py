"""Log records and custom metrics of a worker, sent to the server as frames, with the model they are about."""

from __future__ import annotations

import logging

from ....telemetry.context import current_model
from ....telemetry.custom import MetricEvent, set_sink
from ..frames import Kind, encode
from .outbox import Outbox

_FORMATTER = logging.Formatter()


class FrameHandler(logging.Handler):
    """Sends each record at once, from the thread that logs: the last lines before a crash are the ones that matter."""

    def __init__(self, outbox: Outbox) -> None:
        super().__init__()
        self._outbox = outbox

    def emit(self, record: logging.LogRecord) -> None:
        try:
            trace = _FORMATTER.formatException(record.exc_info) if record.exc_info and record.exc_info[0] else None
            meta = (record.name, record.levelno, record.getMessage(), record.created, trace, *current_model())
            self._outbox.send(encode(Kind.LOG, 0, meta))
        except Exception:
            self.handleError(record)


def send_logs(outbox: Outbox, levels: dict[str, int]) -> None:
    """Send what is logged, and write it nowhere else; ``levels`` are the server's own, by name of logger."""
    logging.getLogger().handlers[:] = [FrameHandler(outbox)]
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    logging.captureWarnings(True)


def send_metrics(outbox: Outbox) -> None:
    """Send what models record."""

    def sink(event: MetricEvent) -> None:
        outbox.send(encode(Kind.METRIC, 0, tuple(event)))

    set_sink(sink)
