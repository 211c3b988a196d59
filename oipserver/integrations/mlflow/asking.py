"""Questions to deployed models, and their answers; knows neither repository nor flavor."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

import numpy as np

from ...protocol import InferRequest, InferResponse
from .answers import Answer
from .bodies import Body, read_body
from .failures import as_mlflow
from .server import RestServer, Uploads

_PATIENCE = 600.0


class Asking:
    """Asks the models of one server. Everything raises MlflowException."""

    def __init__(self, server: RestServer, uploads: Uploads) -> None:
        self._server = server
        self._uploads = uploads

    def body(self, name: str, inputs: Any) -> Body:
        """``inputs`` as model ``name`` takes them."""
        return read_body(inputs, self._server.metadata(name))

    def infer(self, name: str, body: Body) -> InferResponse:
        """The answer of ``name``."""
        return self._uploads.infer(_request(name, body), _PATIENCE)

    def predict(self, name: str, inputs: Any) -> Answer:
        """The answer to ``inputs``, in their form."""
        body = self.body(name, inputs)
        with as_mlflow():
            return Answer(self.infer(name, body), predictions=body.predictions)

    def predict_stream(self, name: str, inputs: Any) -> Iterator[dict[str, Any]]:
        """The answers to ``inputs`` as they come: dictionaries of outputs.

        A dictionary of plain values ({"text_input": "..."}) is asked as the generate extension asks.
        """
        if isinstance(inputs, Mapping) and not any(
            isinstance(each, list | dict | np.ndarray) for each in inputs.values()
        ):
            path = f"/v2/models/{quote(name, safe='')}/generate_stream"
            yield from self._server.events(path, json.dumps(dict(inputs)).encode(), _PATIENCE)
            return
        body = self.body(name, inputs)
        with as_mlflow():
            for part in self._uploads.stream(_request(name, body), _PATIENCE):
                yield dict(Answer(part, predictions=body.predictions))


def _request(name: str, body: Body) -> InferRequest:
    return InferRequest(name, body.inputs, id=body.id, outputs=body.outputs)
