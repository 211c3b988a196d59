"""What workers ship beside answers: faces of models, log records for this process' loggers, custom metrics."""

from __future__ import annotations

import logging
from typing import Any

from pydantic import TypeAdapter, ValidationError

from ...runtime import ModelFace
from ...telemetry.context import model_context
from ...telemetry.custom import MetricEvent, emit
from .frames import FrameError

_face = TypeAdapter(ModelFace)


def face(meta: Any) -> ModelFace:
    """The face of a model that a worker has loaded. Raises FrameError."""
    try:
        return _face.validate_python(meta)
    except ValidationError as error:
        raise FrameError(f"a face that makes no sense: {error}") from None


def log_record(_: int, meta: Any, __: memoryview) -> None:
    """Hand a worker's log record to the logger of the same name here, with ``model`` and ``model_version``."""
    name, level, message, created, trace, model, version = meta
    logger = logging.getLogger(name)
    if not logger.isEnabledFor(level):
        return
    record = logger.makeRecord(name, level, "", 0, message, (), None, extra={"model": model, "model_version": version})
    record.created = created
    record.msecs = created % 1 * 1000
    record.exc_text = trace
    with model_context(model, version):
        logger.handle(record)


def metric(_: int, meta: Any, __: memoryview) -> None:
    """Record a worker's metric as if its model ran here."""
    emit(MetricEvent(*meta))
