"""What can go wrong, in the protocol's own terms; knows no wire, no status number, no exception of a library."""

from __future__ import annotations

from enum import Enum
from typing import ClassVar


class Code(Enum):
    """The neutral outcome of a failed call. Each wire maps it once to its own number."""

    INVALID_ARGUMENT = "INVALID_ARGUMENT"
    NOT_FOUND = "NOT_FOUND"
    ALREADY_EXISTS = "ALREADY_EXISTS"
    RESOURCE_EXHAUSTED = "RESOURCE_EXHAUSTED"
    CANCELLED = "CANCELLED"
    INTERNAL = "INTERNAL"
    UNSUPPORTED = "UNSUPPORTED"
    UNAVAILABLE = "UNAVAILABLE"
    DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"


class OIPError(Exception):
    """A failure that may be shown to the caller as it is.

    ``message`` names what was wrong, what was expected and what came; it never holds tensor data or a stack trace.
    ``retry_after`` (seconds) is set where trying again later is the way out.
    """

    code: ClassVar[Code] = Code.INTERNAL

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.retry_after = retry_after


class InvalidArgumentError(OIPError):
    """The request cannot be right, whatever the state of the server."""

    code = Code.INVALID_ARGUMENT


class NotFoundError(OIPError):
    """The named model, version or route does not exist here."""

    code = Code.NOT_FOUND


class AlreadyExistsError(OIPError):
    """The name is taken."""

    code = Code.ALREADY_EXISTS


class ResourceExhaustedError(OIPError):
    """A bounded queue or limit is full: the request was refused at once, nothing was started."""

    code = Code.RESOURCE_EXHAUSTED


class CancelledError(OIPError):
    """The caller went away or gave the request up."""

    code = Code.CANCELLED


class InternalError(OIPError):
    """The server or the model failed."""

    code = Code.INTERNAL


class UnsupportedError(OIPError):
    """A legal request for something this server or model does not do."""

    code = Code.UNSUPPORTED


class UnavailableError(OIPError):
    """The model cannot serve now, but may later."""

    code = Code.UNAVAILABLE


class DeadlineExceededError(OIPError):
    """The caller's deadline passed before an answer was there."""

    code = Code.DEADLINE_EXCEEDED


class ModelLoadError(InternalError):
    """A model could not be loaded; ``message`` says why and how to mend it."""


_BY_CODE: dict[Code, type[OIPError]] = {
    kind.code: kind
    for kind in (
        InvalidArgumentError,
        NotFoundError,
        AlreadyExistsError,
        ResourceExhaustedError,
        CancelledError,
        InternalError,
        UnsupportedError,
        UnavailableError,
        DeadlineExceededError,
    )
}


def error_from_code(code: Code, message: str, retry_after: float | None = None) -> OIPError:
    """Build the error of a code that crossed a process boundary."""
    return _BY_CODE[code](message, retry_after=retry_after)
