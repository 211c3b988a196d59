"""Errors as a model of Triton's Python backend makes and gets them, and what each is to the server."""

from __future__ import annotations

from oipserver import OIPError
from oipserver.errors import Code, error_from_code


class TritonModelException(Exception):  # noqa: N818  # the name its users know
    """What goes wrong in calls of this module, and what models raise themselves."""


class TritonError:
    """The failure of one request: its ``message()`` and one of the codes below."""

    UNKNOWN = 0
    INTERNAL = 1
    NOT_FOUND = 2
    INVALID_ARG = 3
    UNAVAILABLE = 4
    UNSUPPORTED = 5
    ALREADY_EXISTS = 6
    CANCELLED = 7

    def __init__(self, message: str, code: int = INTERNAL) -> None:
        """Raises TypeError for a message that is no text, ValueError for a code that is none."""
        if not isinstance(message, str):
            raise TypeError(f"the message of a TritonError must be a str, not {type(message).__name__}")
        if code not in _CODES:
            raise ValueError(f"{code!r} is no code of a TritonError")
        self._message = message
        self._code = code

    def message(self) -> str:
        """What went wrong."""
        return self._message

    def code(self) -> int:
        """Which kind of failure it is."""
        return self._code

    def __str__(self) -> str:
        return self._message


_CODES = {
    TritonError.UNKNOWN: Code.INTERNAL,
    TritonError.INTERNAL: Code.INTERNAL,
    TritonError.NOT_FOUND: Code.NOT_FOUND,
    TritonError.INVALID_ARG: Code.INVALID_ARGUMENT,
    TritonError.UNAVAILABLE: Code.UNAVAILABLE,
    TritonError.UNSUPPORTED: Code.UNSUPPORTED,
    TritonError.ALREADY_EXISTS: Code.ALREADY_EXISTS,
    TritonError.CANCELLED: Code.CANCELLED,
}
_NUMBERS = {
    **{code: number for number, code in _CODES.items()},
    Code.INTERNAL: TritonError.INTERNAL,
    Code.RESOURCE_EXHAUSTED: TritonError.UNAVAILABLE,
    Code.DEADLINE_EXCEEDED: TritonError.UNAVAILABLE,
}


def to_server(error: TritonError) -> OIPError:
    """What a model's ``error`` is to the server and its callers."""
    return error_from_code(_CODES[error.code()], error.message())


def to_model(error: OIPError) -> TritonError:
    """What a server's ``error`` is to a model that called another one."""
    return TritonError(error.message, _NUMBERS[error.code])
