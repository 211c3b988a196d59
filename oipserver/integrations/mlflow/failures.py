"""Failures as MLflow's users know them: MlflowException with the code that fits; knows no server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mlflow.exceptions import MlflowException
from mlflow.protos import databricks_pb2 as codes

from ...errors import Code, NotFoundError, OIPError

_BY_STATUS = {
    400: codes.BAD_REQUEST,
    401: codes.UNAUTHENTICATED,
    403: codes.PERMISSION_DENIED,
    404: codes.RESOURCE_DOES_NOT_EXIST,
    405: codes.NOT_IMPLEMENTED,
    408: codes.DEADLINE_EXCEEDED,
    409: codes.RESOURCE_ALREADY_EXISTS,
    413: codes.INVALID_PARAMETER_VALUE,
    429: codes.TEMPORARILY_UNAVAILABLE,
    501: codes.NOT_IMPLEMENTED,
    502: codes.TEMPORARILY_UNAVAILABLE,
    503: codes.TEMPORARILY_UNAVAILABLE,
    504: codes.DEADLINE_EXCEEDED,
}
_BY_CODE = {
    Code.INVALID_ARGUMENT: codes.BAD_REQUEST,
    Code.NOT_FOUND: codes.RESOURCE_DOES_NOT_EXIST,
    Code.ALREADY_EXISTS: codes.RESOURCE_ALREADY_EXISTS,
    Code.RESOURCE_EXHAUSTED: codes.TEMPORARILY_UNAVAILABLE,
    Code.CANCELLED: codes.INTERNAL_ERROR,
    Code.INTERNAL: codes.INTERNAL_ERROR,
    Code.UNSUPPORTED: codes.NOT_IMPLEMENTED,
    Code.UNAVAILABLE: codes.TEMPORARILY_UNAVAILABLE,
    Code.DEADLINE_EXCEEDED: codes.DEADLINE_EXCEEDED,
}
# What gRPC's statuses are in HTTP, as gateways translate them.
_STATUS_OF = {
    "INVALID_ARGUMENT": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "RESOURCE_EXHAUSTED": 429,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}


def wrong(message: str) -> MlflowException:
    """A name, flavor, option or URI that cannot be right."""
    return MlflowException(message, error_code=codes.INVALID_PARAMETER_VALUE)


def bad_body(message: str) -> MlflowException:
    """An input of ``predict`` that the model cannot take."""
    return MlflowException(message, error_code=codes.BAD_REQUEST)


def exists(name: str) -> MlflowException:
    """``create`` of what is there."""
    return MlflowException(
        f"deployment '{name}' exists already: update it, or delete it first", error_code=codes.RESOURCE_ALREADY_EXISTS
    )


def missing(name: str, server: str) -> MlflowException:
    """What is to be found is not there."""
    return MlflowException(f"there is no deployment '{name}' on {server}", error_code=codes.RESOURCE_DOES_NOT_EXIST)


def unavailable(message: str) -> MlflowException:
    """The server cannot be reached, or not now."""
    return MlflowException(message, error_code=codes.TEMPORARILY_UNAVAILABLE)


def too_late(message: str) -> MlflowException:
    """Something took longer than it was given."""
    return MlflowException(message, error_code=codes.DEADLINE_EXCEEDED)


def not_offered(message: str) -> MlflowException:
    """A legal request for what this plugin or server does not do."""
    return MlflowException(message, error_code=codes.NOT_IMPLEMENTED)


def broken(message: str) -> MlflowException:
    """An answer that makes no sense, or a machine that failed."""
    return MlflowException(message, error_code=codes.INTERNAL_ERROR)


def refused(status: int, message: str) -> MlflowException:
    """An error that the server answered with, by its HTTP status."""
    return MlflowException(message, error_code=_BY_STATUS.get(status, codes.INTERNAL_ERROR))


def refused_by_grpc(status: str, message: str) -> MlflowException:
    """An error that the server answered with over gRPC, by the name of its status."""
    return refused(_STATUS_OF.get(status, 500), message)


@contextmanager
def as_mlflow() -> Iterator[None]:
    """Our own errors inside are MLflow's outside."""
    try:
        yield
    except OIPError as error:
        raise MlflowException(error.message, error_code=_BY_CODE[error.code]) from error


@contextmanager
def as_mlflow_of_uri() -> Iterator[None]:
    """Our own errors about a URI inside are MLflow's outside, of MLflow's own code where it was MLflow that failed."""
    try:
        yield
    except OIPError as error:
        cause = error.__cause__
        told = cause.error_code if isinstance(cause, MlflowException) else ""
        if told and told != codes.ErrorCode.Name(codes.INTERNAL_ERROR):  # which is what MLflow says of all the rest
            raise MlflowException(error.message, error_code=codes.ErrorCode.Value(told)) from error
        if isinstance(error, NotFoundError):
            raise MlflowException(error.message, error_code=codes.RESOURCE_DOES_NOT_EXIST) from error
        raise wrong(error.message) from error
