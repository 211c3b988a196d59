"""What can go wrong, in the protocol's own terms or by a status a model's code names; knows no wire and no library."""

from __future__ import annotations

from enum import Enum


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

    code: Code = Code.INTERNAL
    #: The HTTP status where a model's code named one; otherwise each wire has its own number for ``code``.
    status_code: int | None = None

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


class DecoupledModelError(UnsupportedError):
    """One answer was asked of a model that gives any number of them. Each wire says so in its own words."""


class UnavailableError(OIPError):
    """The model cannot serve now, but may later."""

    code = Code.UNAVAILABLE


class DeadlineExceededError(OIPError):
    """The caller's deadline passed before an answer was there."""

    code = Code.DEADLINE_EXCEEDED


class ModelLoadError(InternalError):
    """A model could not be loaded; ``message`` says why and how to mend it."""


_LONGEST_LINE = 500

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


def error_from_code(
    code: Code, message: str, retry_after: float | None = None, status_code: int | None = None
) -> OIPError:
    """Build the error of a code that crossed a process boundary."""
    error = _BY_CODE[code](message, retry_after=retry_after)
    error.status_code = status_code
    return error


def one_line(error: BaseException) -> str:
    """What ``error``, of some library, says: on one line, cut where it goes on and on, its class where that is all."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= _LONGEST_LINE else f"{text[:_LONGEST_LINE]}..."


_BY_STATUS = {
    400: Code.INVALID_ARGUMENT,
    404: Code.NOT_FOUND,
    409: Code.ALREADY_EXISTS,
    422: Code.INVALID_ARGUMENT,
    429: Code.RESOURCE_EXHAUSTED,
    499: Code.CANCELLED,
    501: Code.UNSUPPORTED,
    503: Code.UNAVAILABLE,
    504: Code.DEADLINE_EXCEEDED,
}


def code_of_status(status: int) -> Code:
    """The code nearest to an HTTP status: other 4xx are the caller's mistake, everything else is INTERNAL."""
    code = _BY_STATUS.get(status)
    if code is None:
        code = Code.INVALID_ARGUMENT if 400 <= status < 500 else Code.INTERNAL
    return code


class MLServerError(OIPError):
    """An error a model's code raises with the HTTP status REST callers are to see; gRPC callers see the nearest code.

    This class and those below have MLServer's names, so that models written for it raise the same errors here.
    """

    def __init__(self, msg: str, status_code: int = 400) -> None:
        super().__init__(msg)
        self.status_code = status_code
        self.code = code_of_status(status_code)


class InvalidModelURI(MLServerError):  # noqa: N818
    """The artefact a model's settings name is not there."""

    def __init__(self, name: str, model_uri: str | None = None) -> None:
        super().__init__(f"Invalid URI specified for model {name}" + (f" ({model_uri})" if model_uri else ""), 422)


class ModelNotFound(MLServerError):  # noqa: N818
    """No such model, or no such version of it."""

    def __init__(self, name: str, version: str | None = None) -> None:
        super().__init__(f"Model {_with_version(name, version)} not found", 404)


class ModelNotReady(MLServerError):  # noqa: N818
    """The model is known but cannot answer yet."""

    def __init__(self, name: str, version: str | None = None) -> None:
        super().__init__(f"Model {_with_version(name, version)} is not ready yet.")


class InferenceError(MLServerError):
    """The model cannot answer this request."""

    def __init__(self, msg: str) -> None:
        super().__init__(msg)


class ModelParametersMissing(MLServerError):  # noqa: N818
    """A model's settings lack the ``parameters`` its runtime needs."""

    def __init__(self, model_name: str) -> None:
        super().__init__(f"Parameters missing for model {model_name}")


def _with_version(name: str, version: str | None) -> str:
    return name if version is None else f"{name} with version {version}"
