"""TableModel: requests as arrays or DataFrames into a predictor, its answers as outputs; knows no framework."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from oipserver import MLModel, ModelSettings, Tensor
from oipserver.codecs import NumpyCodec, NumpyRequestCodec, PandasCodec
from oipserver.errors import InferenceError, InternalError, InvalidArgumentError, OIPError
from oipserver.protocol import InferRequest
from oipserver.tensor import shape_text
from oipserver.types import (
    InferenceRequest,
    InferenceResponse,
    MetadataModelResponse,
    RequestOutput,
    ResponseOutput,
    from_public,
    to_public,
)

from .answers import as_array, np_tensor, output_metadata
from .artefact import Artefact, find_artefact
from .loading import load_alone
from .predictor import Predictor

if TYPE_CHECKING:
    from oipserver.settings.model import TensorSettings

_log = logging.getLogger(__name__)

_NUMPY = (None, "np")
_ENCODED = frozenset({"BYTES", "BF16"})  # datatypes whose arrays are not what a model computes with
_MISTAKES = (ValueError, TypeError, LookupError)
_LONGEST_REASON = 500  # characters; frameworks like to repeat whole tables


class TableModel(MLModel):
    """A model that takes one table of numbers (content type ``np``) or named columns (``pd``), and gives arrays.

    A runtime says what it reads (``artefact``), which outputs may be asked for (``outputs_known``), and how to ``open``
    a file.
    """

    artefact: ClassVar[Artefact]
    platform: ClassVar[str]
    outputs_known: ClassVar[tuple[str, ...]] = ("predict", "predict_proba")

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__(settings)
        # What a framework tells of itself is for people and for clients that ask; it takes whatever it can compute
        # with. What the settings declare is a promise.
        self.strict_inputs = bool(settings.inputs)
        self._predictor = Predictor({})
        self._default: tuple[str, ...] = ("predict",)
        self._content_type = settings.parameters.content_type
        self._input_types = _content_types(settings.inputs)
        self._output_types = _content_types(settings.outputs)

    def open(self, path: Path) -> Predictor:
        """Read the file at ``path``. Takes as long as it takes. Raises ModelLoadError."""
        raise NotImplementedError(f"{type(self).__name__} opens nothing")

    def refusal(self, output: str) -> str:
        """Why this model cannot compute ``output``, which others of its runtime can."""
        raise NotImplementedError(f"{type(self).__name__} refuses nothing")

    async def load(self) -> bool:
        """Open the model in a thread of its own: the server stays alive meanwhile. Raises ModelLoadError."""
        await load_alone(self._load)
        return True

    def _load(self) -> None:
        predictor = self._predictor = self.open(find_artefact(self.settings, self.artefact))
        self._default = self.default_outputs(predictor)
        if not self.settings.inputs:
            self.inputs = predictor.inputs()
        if not self.settings.outputs:
            self.outputs = output_metadata(predictor)

    def default_outputs(self, predictor: Predictor) -> tuple[str, ...]:
        """What is computed for requests that name no output. Raises ModelLoadError."""
        return ("predict",)

    async def unload(self) -> bool:
        """Let the model go."""
        self._predictor = Predictor({})
        return True

    async def metadata(self) -> MetadataModelResponse:
        """What the settings declare, and what the model knows of itself where they are silent."""
        told = await super().metadata()
        told.platform = self.settings.platform or self.platform
        return told

    def infer_tensors(
        self, inputs: Sequence[Tensor], outputs: Sequence[str], parameters: Mapping[str, Any]
    ) -> list[Tensor]:
        """Compute ``outputs`` (the default where empty). Thread-safe as far as the framework is.

        Raises InferenceError or InvalidArgumentError for what the caller did wrong.
        """
        names = outputs or self._default
        self._require(names)
        if len(inputs) == 1 and self._is_plain(inputs[0], parameters):
            data = self._checked(inputs[0])
        else:
            data = self._decoded(to_public(InferRequest(self.name, list(inputs), parameters=dict(parameters))))
        answers = self._computed(names, data)
        if all(map(self._fits_np, names, answers)):
            return [np_tensor(name, answer) for name, answer in zip(names, answers, strict=True)]
        encoded = self._encoded([RequestOutput(name=name) for name in names], answers)
        response = InferenceResponse(model_name=self.name, outputs=encoded)
        return from_public(response, InferRequest(self.name, [])).outputs

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """The same for a public request, for subclasses that change what goes in or comes out."""
        wanted = payload.outputs or [RequestOutput(name=name) for name in self._default]
        names = [output.name for output in wanted]
        self._require(names)
        answers = self._computed(names, self._decoded(payload))
        outputs = self._encoded(wanted, answers)
        return InferenceResponse(model_name=self.name, model_version=self.version, outputs=outputs)

    def _require(self, outputs: Sequence[str]) -> None:
        for name in outputs:
            if name not in self._predictor.functions:
                raise self._unknown(name)

    def _computed(self, outputs: Sequence[str], data: Any) -> list[Any]:
        functions = self._predictor.functions
        try:
            return [functions[name](data) for name in outputs]
        except OIPError:
            raise
        except Exception as error:
            raise self._failure(error, data) from error

    def _unknown(self, output: str) -> InferenceError:
        if output in self.outputs_known:
            return InferenceError(self.refusal(output))
        *most, last = (f"'{name}'" for name in self.outputs_known)
        known = f"{', '.join(most)} and {last}"
        return InferenceError(f"{type(self).__name__} only supports {known} as outputs ({output} was received)")

    # -- requests ------------------------------------------------------------------------------------------------------

    def _is_plain(self, tensor: Tensor, parameters: Mapping[str, Any]) -> bool:
        """Whether ``tensor`` alone is an array of numbers, and nobody has said that it is something else."""
        own = (tensor.parameters or {}).get("content_type") or self._input_types.get(tensor.name)
        asked = parameters.get("content_type") or self._content_type
        if asked not in _NUMPY or own not in _NUMPY or tensor.datatype in _ENCODED:
            return False
        return not self._predictor.columns or tensor.name not in self._predictor.feature_names

    def _decoded(self, request: InferenceRequest) -> Any:
        """What a request holds, by the content types it names; a table where it has the columns of one."""
        names, inputs = self._predictor.feature_names, request.inputs
        by_column = len(inputs) > 1 or (bool(self._predictor.columns) and any(each.name in names for each in inputs))
        return self.decode_request(request, default_codec=PandasCodec if names and by_column else NumpyRequestCodec)

    def _checked(self, tensor: Tensor) -> Any:
        features = self._predictor.features
        shape = tensor.shape
        if features is not None and (len(shape) != 2 or shape[1] != features):
            raise InvalidArgumentError(
                f"unexpected shape for input '{tensor.name}' for model '{self.name}'. "
                f"Expected {shape_text((-1, features))}, got {shape_text(shape)}"
            )
        array = tensor.array
        # A view into a request's body is read-only and can start at any byte; compiled code may insist on neither.
        return array if array.flags.writeable and array.flags.aligned else array.copy()

    def _failure(self, error: Exception, data: Any) -> OIPError:
        reason = f"{error}".strip()[:_LONGEST_REASON] or type(error).__name__
        if isinstance(error, LookupError):
            reason = f"{type(error).__name__}: {reason}"
        names = self._predictor.feature_names
        hint = ""
        if names and isinstance(data, np.ndarray) and self._predictor.columns:
            hint = f". It takes a table (content type 'pd') with the columns {list(names)}"
        if hint or isinstance(error, (*_MISTAKES, *self._predictor.failures)):
            return InvalidArgumentError(f"model '{self.name}' cannot take these inputs: {reason}{hint}")
        _log.error("model '%s' raised %s", self.name, type(error).__name__, exc_info=error)
        return InternalError(f"model '{self.name}' failed: {type(error).__name__}: {reason}")

    # -- answers -------------------------------------------------------------------------------------------------------

    def _fits_np(self, output: str, answer: Any) -> bool:
        """Whether ``answer`` is an array of numbers, and nobody has declared another content type for ``output``."""
        return (
            isinstance(answer, np.ndarray) and answer.dtype.kind in "biuf" and self._output_types.get(output) in _NUMPY
        )

    def _encoded(self, wanted: Sequence[RequestOutput], answers: Sequence[Any]) -> list[ResponseOutput]:
        encoded = []
        for output, answer in zip(wanted, answers, strict=True):
            if PandasCodec.can_encode(answer):
                if len(wanted) > 1:
                    raise InferenceError(
                        f"{output.name} returned columnar data of type {type(answer)} and "
                        f"{[each.name for each in wanted]} were requested. Cannot encode multiple columnar data "
                        "responses into one response."
                    )
                return PandasCodec.encode_outputs(answer)
            encoded.append(self.encode(as_array(answer, output.name, self.name), output, NumpyCodec))
        return encoded


def _content_types(tensors: Sequence[TensorSettings]) -> dict[str, str | None]:
    return {tensor.name: (tensor.parameters or {}).get("content_type") for tensor in tensors}
