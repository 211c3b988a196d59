"""A client over REST, on the standard library's HTTP; knows no file."""

from __future__ import annotations

import http.client
import ssl
from contextlib import suppress
from urllib.parse import quote

import orjson

from ...errors import InvalidArgumentError
from ...protocol import InferRequest, InferResponse
from ...protocol.asking import read_answer, write_question
from .call import CallError, Client, Target

_LENGTH = "Inference-Header-Content-Length"
_RETRY = frozenset({408, 429, 502, 503, 504})
_SHOWN = 500  # characters of an answer that is no JSON


class RestClient(Client):
    """Speaks HTTP/1.1 with one server, over one connection that is opened again when it is lost."""

    def __init__(self, target: Target) -> None:
        self._target = target
        if target.secure:
            context = ssl.create_default_context()
            if not target.verify:
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            self._connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                target.host, target.port, timeout=target.timeout, context=context
            )
        else:
            self._connection = http.client.HTTPConnection(target.host, target.port, timeout=target.timeout)

    def infer(self, request: InferRequest) -> InferResponse:
        version = f"/versions/{quote(request.model_version, safe='')}" if request.model_version else ""
        path = f"/v2/models/{quote(request.model_name, safe='')}{version}/infer"
        body, length = write_question(request, binary=self._target.binary)
        headers = {"content-type": "application/json", **self._target.headers}
        if length is not None:
            headers |= {"content-type": "application/octet-stream", _LENGTH: str(length)}
        try:
            self._connection.request("POST", path, body, headers)
            answer = self._connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise CallError(f"{type(error).__name__}: {error}", retry=True) from None
        if answer.status != 200:
            wait = answer.headers.get("retry-after", "")
            raise CallError(
                f"HTTP {answer.status}: {_reason(content)}",
                retry=answer.status in _RETRY,
                retry_after=float(wait) if wait.isdecimal() else None,
            )
        return _read(request.model_name, content, answer.headers.get(_LENGTH, ""))

    def close(self) -> None:
        self._connection.close()


def _read(model: str, content: bytes, length: str) -> InferResponse:
    try:
        return read_answer(model, content, length)
    except InvalidArgumentError as error:
        raise CallError(f"the answer cannot be read: {error.message}", retry=False) from None


def _reason(content: bytes) -> str:
    with suppress(orjson.JSONDecodeError, KeyError, TypeError):
        return str(orjson.loads(content)["error"])
    return content.decode(errors="replace")[:_SHOWN]
