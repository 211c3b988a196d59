"""What deployments ask of a server: its repository, its models, answers; and how that is said over REST."""

from __future__ import annotations

import http.client
import json
import ssl
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, suppress
from typing import Any
from urllib.parse import quote

from mlflow.exceptions import MlflowException

from ...errors import InvalidArgumentError
from ...protocol import InferRequest, InferResponse
from ...protocol.asking import read_answer, read_document, write_question
from .failures import broken, not_offered, refused, too_late, unavailable, wrong
from .progress import Progress
from .target import Target
from .upload import Source, UploadBody

#: Seconds for calls that only ask.
_PATIENCE = 30.0
_LENGTH = "Inference-Header-Content-Length"
_JSON = {"content-type": "application/json"}


class Uploads(ABC):
    """One way of calling a server. ``timeout`` is in seconds; everything raises MlflowException."""

    @abstractmethod
    def load(
        self, name: str, config: str | None, files: Mapping[str, Source], progress: Progress, timeout: float
    ) -> None:
        """Have ``name`` loaded: from the repository, or with ``config`` and ``files`` in its place."""

    @abstractmethod
    def pull(self, name: str, uri: str, timeout: float) -> None:
        """Have the server itself fetch what MLflow has at ``uri``, and load it as ``name``."""

    @abstractmethod
    def infer(self, request: InferRequest, timeout: float) -> InferResponse:
        """The answer to ``request``."""

    @abstractmethod
    def stream(self, request: InferRequest, timeout: float) -> Iterator[InferResponse]:
        """The answers to ``request``, as they come."""


class RestServer(Uploads):
    """A server over HTTP/1.1, one connection a call."""

    def __init__(self, target: Target) -> None:
        self._target = target

    def require(self) -> None:
        """Raises MlflowException where nobody is there, or nobody that can serve."""
        status = self.status("/v2/health/live")
        if status in (401, 403):
            raise refused(status, f"{self._target.url} refuses us: $OIP_TOKEN is the token it gets")
        if status != 200:
            raise unavailable(f"{self._target.url} does not answer as a live server of this protocol (HTTP {status})")

    def describe(self) -> dict[str, Any]:
        """What the server tells of itself: name, version, extensions."""
        return self._object("/v2")

    def index(self) -> list[dict[str, str]]:
        """Every model: ``name``, and ``version``, ``state``, ``reason`` where it was loaded."""
        rows = self._json("POST", "/v2/repository/index", b"{}")
        if not isinstance(rows, list) or not all(isinstance(row, dict) and row.get("name") for row in rows):
            raise broken(f"{self._target.url} answers with no repository index")
        return rows

    def load(
        self, name: str, config: str | None, files: Mapping[str, Source], progress: Progress, timeout: float
    ) -> None:
        body = UploadBody(config, files, progress.add)
        path = f"/v2/repository/models/{quote(name, safe='')}/load"
        self._answer("POST", path, body, {**_JSON, "content-length": str(body.size)}, timeout)

    def pull(self, name: str, uri: str, timeout: float) -> None:
        body = json.dumps({"parameters": {"uri": uri}}).encode()
        self._answer("POST", f"/v2/repository/models/{quote(name, safe='')}/load", body, _JSON, timeout)

    def unload(self, name: str, timeout: float) -> None:
        """Have ``name`` go, with what was loaded for it alone; it is no mistake that it was not there."""
        path = f"/v2/repository/models/{quote(name, safe='')}/unload"
        try:
            self._answer("POST", path, b'{"parameters":{"unload_dependents":true}}', _JSON, timeout)
        except MlflowException as error:
            if error.get_http_status_code() != 404:
                raise

    def ready(self, name: str) -> bool:
        """Whether ``name`` can answer now."""
        return self.status(f"/v2/models/{quote(name, safe='')}/ready") == 200

    def metadata(self, name: str) -> dict[str, Any]:
        """What ``name`` takes and gives."""
        return self._object(f"/v2/models/{quote(name, safe='')}")

    def configuration(self, name: str) -> dict[str, Any]:
        """The configuration of ``name``; {} where the server has none to tell."""
        with suppress(MlflowException):
            return self._object(f"/v2/models/{quote(name, safe='')}/config")
        return {}

    def infer(self, request: InferRequest, timeout: float) -> InferResponse:
        body, length = write_question(request, binary=True)
        headers = _JSON if length is None else {"content-type": "application/octet-stream", _LENGTH: str(length)}
        with closing(self._connection(timeout)) as connection:
            answer = self._sent(connection, "POST", _model_path(request, "infer"), body, headers)
            content = self._read(answer)
        try:
            return read_answer(request.model_name, content, answer.headers.get(_LENGTH, ""))
        except InvalidArgumentError as error:
            raise broken(f"{self._target.url}: {error.message}") from error

    def stream(self, request: InferRequest, timeout: float) -> Iterator[InferResponse]:
        body, _ = write_question(request, binary=False)
        for event in self.events(_model_path(request, "infer_stream"), body, timeout):
            yield read_document(request.model_name, event)

    def events(self, path: str, body: bytes, timeout: float) -> Iterator[dict[str, Any]]:
        """The documents of a stream of server-sent events. Raises MlflowException, in its middle too."""
        with closing(self._connection(timeout)) as connection:
            answer = self._sent(connection, "POST", path, body, {**_JSON, "accept": "text/event-stream"})
            if answer.status != 200:
                self._read(answer)
            for line in self._lines(answer):
                if not line.startswith(b"data:"):
                    continue
                document = json.loads(line.removeprefix(b"data:"))
                if "error" in document and "outputs" not in document:
                    raise refused(500, str(document["error"]))
                yield document

    def status(self, path: str) -> int:
        """The HTTP status of a GET."""
        with closing(self._connection(_PATIENCE)) as connection:
            answer = self._sent(connection, "GET", path, b"", {})
            answer.read()
            return answer.status

    # -- one call ----------------------------------------------------------------------------------------------------

    def _object(self, path: str) -> dict[str, Any]:
        document = self._json("GET", path)
        if not isinstance(document, dict):
            raise broken(f"{self._target.url}{path} answers with no JSON object")
        return document

    def _json(self, method: str, path: str, body: bytes = b"") -> Any:
        content = self._answer(method, path, body, _JSON if body else {})
        try:
            return json.loads(content)
        except ValueError:
            raise broken(f"{self._target.url}{path} answers with something that is no JSON") from None

    def _answer(
        self,
        method: str,
        path: str,
        body: bytes | Iterable[bytes] = b"",
        headers: Mapping[str, str] | None = None,
        timeout: float = _PATIENCE,
    ) -> bytes:
        with closing(self._connection(timeout)) as connection:
            return self._read(self._sent(connection, method, path, body, headers or {}))

    def _connection(self, timeout: float) -> http.client.HTTPConnection:
        target = self._target
        if not target.tls:
            return http.client.HTTPConnection(target.host, target.port, timeout=timeout)
        context = ssl.create_default_context()
        if not target.verify:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return http.client.HTTPSConnection(target.host, target.port, timeout=timeout, context=context)

    def _sent(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        body: bytes | Iterable[bytes],
        headers: Mapping[str, str],
    ) -> http.client.HTTPResponse:
        """The answer's head. A server may refuse a body before it has all of it: then its answer still counts."""
        try:
            connection.connect()
            with suppress(BrokenPipeError, ConnectionResetError):
                connection.request(method, self._target.base + path, body, {**self._target.headers, **headers})
            if connection.sock is None:
                raise ConnectionResetError("the connection was closed")
            return connection.getresponse()
        except TimeoutError as error:
            raise too_late(f"{self._target.url} has not answered in {connection.timeout:g} s") from error
        except (OSError, http.client.HTTPException) as error:
            raise unavailable(f"{self._target.url} cannot be reached: {str(error) or type(error).__name__}") from error

    def _read(self, answer: http.client.HTTPResponse) -> bytes:
        try:
            content = answer.read()
        except TimeoutError as error:
            raise too_late(f"{self._target.url} has not answered in time") from error
        except (OSError, http.client.HTTPException) as error:
            raise unavailable(f"{self._target.url} went away in the middle of its answer: {error}") from error
        if answer.status != 200:
            raise refused(answer.status, _reason(content, answer.status))
        return content

    def _lines(self, answer: http.client.HTTPResponse) -> Iterator[bytes]:
        try:
            yield from answer
        except TimeoutError as error:
            raise too_late(f"{self._target.url} has sent nothing for too long") from error
        except (OSError, http.client.HTTPException) as error:
            raise unavailable(f"{self._target.url} went away in the middle of its answer: {error}") from error


def connect(target: Target) -> tuple[RestServer, Uploads]:
    """The server at ``target``: what is asked over REST, and what carries tensors and files, over gRPC if there is."""
    server = RestServer(target)
    if not target.grpc:
        return server, server
    try:
        from .over_grpc import GrpcUploads
    except ImportError as error:
        raise wrong(f"grpc={target.grpc} needs grpcio: {error}") from error
    if target.tls and not target.verify:
        raise not_offered("verify=0 is for REST: gRPC always checks the certificate")
    return server, GrpcUploads(target)


def _model_path(request: InferRequest, verb: str) -> str:
    version = f"/versions/{quote(request.model_version, safe='')}" if request.model_version else ""
    return f"/v2/models/{quote(request.model_name, safe='')}{version}/{verb}"


def _reason(content: bytes, status: int) -> str:
    """What the server says is wrong, with what helps where it says too little."""
    text = content.decode(errors="replace")[:500]
    with suppress(ValueError, KeyError, TypeError):
        text = str(json.loads(content)["error"])
    if status == 413:
        text += "; name its gRPC port (grpc=...), or a shared repository (-C transfer=copy -C repository=...)"
    return text or f"HTTP {status}"
