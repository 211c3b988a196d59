"""A model as MLflow itself loads and calls it: predictions, and its scoring server's ``/invocations``."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from oipserver_frameworks import import_framework

from oipserver import ModelSettings
from oipserver.errors import InternalError, InvalidArgumentError, ModelLoadError, OIPError

from .switches import CODE, require

_REQUIREMENT = '"oipserver[mlflow]"'
_MISTAKES = (ValueError, TypeError, LookupError)
_LONGEST_REASON = 1000  # characters; MLflow repeats the whole data


class PyfuncModel:
    """The ``python_function`` of the model in ``folder``; one call at a time, since those need not be thread-safe.

    ``parameters.extra.model_config`` is given to the model as MLflow's ``model_config``. Raises ModelLoadError.
    """

    def __init__(self, settings: ModelSettings, folder: Path) -> None:
        self._name = settings.name
        require(CODE, self._name, "runs code when it is loaded")
        self._pyfunc = import_framework("mlflow.pyfunc", _REQUIREMENT, self._name)
        self._error = import_framework("mlflow.exceptions", _REQUIREMENT, self._name).MlflowException
        self._lock = threading.Lock()
        config = settings.parameters.extra.get("model_config")
        try:
            self._model = self._pyfunc.load_model(str(folder), model_config=config)
        except Exception as error:
            raise ModelLoadError(
                f"model '{self._name}' cannot be loaded by MLflow: {type(error).__name__}: {_short(error)}. What it "
                f"needs is in {folder / 'requirements.txt'}"
            ) from error

    def predict(self, data: Any, params: Mapping[str, Any]) -> Any:
        """What the model gives for ``data``. Raises InvalidArgumentError, or InternalError where the model fails."""
        try:
            with self._lock:
                return self._model.predict(data, params=dict(params)) if params else self._model.predict(data)
        except OIPError:
            raise
        except (self._error, *_MISTAKES) as error:
            raise InvalidArgumentError(f"model '{self._name}' cannot take these inputs: {_short(error)}") from error
        except Exception as error:
            raise InternalError(f"model '{self._name}' failed: {type(error).__name__}: {_short(error)}") from error

    def invocations(self, body: bytes, content_type: str) -> tuple[int, str, str]:
        """Status, media type and text that MLflow's scoring server answers a request with; never a stack trace."""
        server = import_framework("mlflow.pyfunc.scoring_server", _REQUIREMENT, self._name)
        schema = self._model.metadata.get_input_schema()
        try:
            with self._lock:
                answer = server.invocations(body, content_type, self._model, schema)
        except self._error as error:
            told = json.loads(error.serialize_as_json())
            told.pop("stack_trace", None)
            return error.get_http_status_code(), "application/json", json.dumps(told)
        return answer.status, answer.mimetype, answer.response


def _short(error: Exception) -> str:
    return f"{getattr(error, 'message', None) or error}".strip()[:_LONGEST_REASON] or type(error).__name__
