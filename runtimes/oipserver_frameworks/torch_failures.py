"""Whose mistake a failed execution by PyTorch was, and what of its text is worth telling."""

from __future__ import annotations

import logging
import re

from oipserver.errors import InternalError, InvalidArgumentError, OIPError

_log = logging.getLogger(__name__)

_MACHINE = re.compile(r"out of memory|CUDA error|cuDNN|CUBLAS|INTERNAL ASSERT|device-side", re.IGNORECASE)
_MISTAKES = (RuntimeError, AssertionError, AttributeError, LookupError, TypeError, ValueError)
_LONGEST_REASON = 500  # characters
_NAMED = re.compile(r"^(?:[\w.]*(?:Error|Exception)): (.*)$")


def run_failure(error: Exception, model: str) -> OIPError:
    """The error of an execution: a loaded program that refuses does not suit these values, types or dimensions."""
    if isinstance(error, OIPError):
        return error
    reason = _reason(str(error))[:_LONGEST_REASON] or type(error).__name__
    if isinstance(error, _MISTAKES) and not isinstance(error, NotImplementedError) and not _MACHINE.search(str(error)):
        return InvalidArgumentError(f"model '{model}' cannot take these inputs: {reason}")
    _log.error("model '%s' raised %s", model, type(error).__name__, exc_info=error)
    return InternalError(f"model '{model}' failed: {type(error).__name__}: {reason}")


def _reason(text: str) -> str:
    """The one line that says what is wrong; TorchScript writes it last, after two stack traces."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        return ""
    for line in reversed(lines):
        if found := _NAMED.match(line):
            return found[1]
    return lines[0]
