"""Answers as a model of Triton's Python backend makes and gets them; knows no request but what it asked for."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from oipserver.errors import InternalError
from oipserver.protocol import InferRequest, InferResponse

from .failures import TritonError, TritonModelException, to_server
from .tensors import Tensor


class InferenceResponse:
    """An answer: tensors, or an error, and parameters that JSON can say."""

    def __init__(
        self,
        output_tensors: Sequence[Tensor] = (),
        error: TritonError | None = None,
        parameters: Mapping[str, Any] | None = None,
    ) -> None:
        """Raises TypeError for outputs that are no tensors and for what is no error."""
        self._outputs = list(output_tensors)
        for tensor in self._outputs:
            if not isinstance(tensor, Tensor):
                raise TypeError(f"an output must be a Tensor of this module, not {type(tensor).__name__}")
        if error is not None and not isinstance(error, TritonError):
            raise TypeError(f"an error must be a TritonError, not {type(error).__name__}")
        self._error = error
        self._parameters = checked(parameters)

    @classmethod
    def of(cls, response: InferResponse) -> InferenceResponse:
        """The model's view of another model's answer."""
        outputs = [Tensor.of(tensor) for tensor in response.outputs]
        return cls(outputs, None, response.parameters)

    def output_tensors(self) -> list[Tensor]:
        """Its tensors."""
        return self._outputs

    def has_error(self) -> bool:
        """Whether it is a failure."""
        return self._error is not None

    def error(self) -> TritonError | None:
        """What failed, where something did."""
        return self._error

    def parameters(self) -> str:
        """Its parameters as JSON."""
        return json.dumps(self._parameters)

    def served(self, request: InferRequest) -> InferResponse:
        """The server's form of it, with those outputs that ``request`` asks for. Raises OIPError: its own."""
        if self._error is not None:
            raise to_server(self._error)
        wanted = {output.name for output in request.outputs}
        outputs = [tensor.served for tensor in self._outputs if not wanted or tensor.name() in wanted]
        missing = wanted - {tensor.name for tensor in outputs}
        if missing:
            raise InternalError(f"model '{request.model_name}' gave no output {sorted(missing)}, which was asked for")
        return InferResponse(
            request.model_name,
            outputs,
            request.model_version,
            request.id,
            dict(self._parameters) if self._parameters else None,
        )


def checked(parameters: Mapping[Any, Any] | None) -> dict[str, Any]:
    """Parameters that the protocol can carry, as a dictionary of their own. Raises TritonModelException."""
    for key, value in (parameters or {}).items():
        if not isinstance(key, str) or not isinstance(value, (bool, int, float, str)):
            raise TritonModelException(f"parameter {key!r} must be a bool, int, float or str by a name, not {value!r}")
    return dict(parameters or {})
