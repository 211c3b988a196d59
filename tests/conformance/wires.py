"""Triton's synchronous clients behind one face, so that a test is written once for both wires."""

from __future__ import annotations

from typing import Any

import numpy as np
import tritonclient.grpc as grpc_client
import tritonclient.http as http_client
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from tests.support.server_process import ServerProcess

WIRES = ("http", "grpc")
MODULES: dict[str, Any] = {"http": http_client, "grpc": grpc_client}
#: What a client's mistake is on each wire.
MISTAKE = {"http": "400", "grpc": "StatusCode.INVALID_ARGUMENT"}
NOT_FOUND = {"http": "404", "grpc": "StatusCode.NOT_FOUND"}


class Wire:
    """A connected client; ``kind`` is http or grpc."""

    def __init__(self, kind: str, server: ServerProcess) -> None:
        self.kind = kind
        self.server = server
        self.module = MODULES[kind]
        self.client = self.module.InferenceServerClient(server.http if kind == "http" else server.grpc)

    def close(self) -> None:
        self.client.close()

    def input(self, name: str, array: np.ndarray[Any, Any], datatype: str = "", *, binary: bool = True) -> Any:
        """An input; over http as JSON where not ``binary``."""
        made = self.module.InferInput(name, list(array.shape), datatype or np_to_triton_dtype(array.dtype))
        made.set_data_from_numpy(array, **({"binary_data": binary} if self.kind == "http" else {}))
        return made

    def output(self, name: str, *, binary: bool = True, **options: Any) -> Any:
        """A requested output; over http as JSON where not ``binary``."""
        options |= {"binary_data": binary} if self.kind == "http" else {}
        return self.module.InferRequestedOutput(name, **options)

    def infer(self, model: str, inputs: list[Any], **options: Any) -> Any:
        return self.client.infer(model, inputs, **options)

    def mistake(self, model: str, inputs: list[Any], **options: Any) -> tuple[str, str]:
        """The status and the message of a request that must fail."""
        try:
            self.infer(model, inputs, **options)
        except InferenceServerException as error:
            return str(error.status()), str(error.message())
        raise AssertionError("the request was answered")
