"""MLflowRuntime: a model that MLflow saved as a model of the server."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from oipserver_frameworks import load_alone

from oipserver import MLModel, ModelSettings, OIPError, Tensor
from oipserver.errors import InternalError, InvalidArgumentError, ModelLoadError
from oipserver.protocol import ModelMetadata, TensorMetadata
from oipserver.protocol.invocations_form import BODY, CONTENT_TYPE, ENGINE, REPLY, packed_reply, read_invocations
from oipserver.repository.mlmodel import MLmodel, read_mlmodel
from oipserver.tensor import DATATYPES
from oipserver.types import MetadataModelResponse, MetadataTensor
from oipserver.types import Parameters as PublicParameters

from .answers import Answers, observed
from .inputs import Inputs
from .native import NativeModel, can_be_native, open_native
from .pyfunc import PyfuncModel
from .schema import fields_of

_log = logging.getLogger(__name__)

_ENGINES = ("auto", "native", "pyfunc")
_MISTAKES = (ValueError, TypeError, LookupError)


class MLflowRuntime(MLModel):
    """Serves the folder of ``parameters.uri``, which has an ``MLmodel``: inputs and outputs are its signature's.

    Models of scikit-learn, XGBoost and LightGBM are loaded by these alone, everything else by MLflow.
    ``parameters.extra``: ``engine``, ``native`` or ``pyfunc`` to have one of these ways and no other; ``model_config``,
    for the model.
    """

    placement: ClassVar[Any] = "pool"
    strict_inputs = False  # names, columns and tables of one tensor are judged with the signature at hand

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__(settings)
        self._native: NativeModel | None = None
        self._pyfunc: PyfuncModel | None = None
        self._params: dict[str, Mapping[str, Any]] = {}
        self._matrix = False
        self._mistakes: tuple[type[Exception], ...] = _MISTAKES

    async def load(self) -> bool:
        """Load the model in a thread of its own and try it with its example. Raises ModelLoadError."""
        await load_alone(self._load)
        return True

    def _load(self) -> None:
        folder = _folder(self.settings)
        try:
            described = read_mlmodel(folder)
        except InvalidArgumentError as error:
            raise ModelLoadError(f"model '{self.name}': {error.message}") from None
        fields = fields_of(described.inputs, "input")
        outputs = fields_of(described.outputs, "output")
        self._inputs_of = Inputs(described, fields, self.name)
        self._answers = Answers(outputs, self.name)
        self._params = {str(param.get("name")): param for param in described.params}
        if self._is_native(described):
            self._native = open_native(described, folder, self.name)
            self._mistakes = (*_MISTAKES, *self._native.failures)
            columns = bool(fields) and not described.takes_tensors
            self._matrix = self._native.arrays and columns and all(field.datatype != "BYTES" for field in fields)
        else:
            self._pyfunc = PyfuncModel(self.settings, folder)
        if not self.settings.inputs:
            self.inputs = [field.metadata() for field in fields]
        if not self.settings.outputs:
            self.outputs = self._tried(described, folder) or [field.metadata() for field in outputs]

    def _is_native(self, described: MLmodel) -> bool:
        engine = self.settings.parameters.extra.get("engine", "auto")
        if engine not in _ENGINES:
            raise ModelLoadError(
                f"model '{self.name}': parameters.extra.engine: expected one of {', '.join(_ENGINES)}, got {engine!r}"
            )
        native = can_be_native(described)
        if engine == "native" and not native:
            raise ModelLoadError(
                f"model '{self.name}': parameters.extra.engine is 'native', but a model of the flavors "
                f"{', '.join(described.flavors)} with such a signature needs MLflow"
            )
        return native and engine != "pyfunc"

    def _tried(self, described: MLmodel, folder: Path) -> list[MetadataTensor]:
        """The outputs for the example that was saved with the model: signatures leave them out, or err in them."""
        if described.example is None:
            return self._tried_with_zeros()
        metadata = ModelMetadata(self.name, inputs=tuple(map(_told, self.inputs)))
        try:
            request = read_invocations((folder / described.example).read_bytes(), "application/json", metadata).request
            return observed(self.infer_tensors(request.inputs, (), request.parameters))
        except (OIPError, OSError) as error:
            _log.info("model '%s': its example cannot be tried: %s", self.name, error)
            return []

    def _tried_with_zeros(self) -> list[MetadataTensor]:
        """The outputs for a row of zeros, of a model that has no code of its own and takes nothing but numbers."""
        if self._native is None or not self.inputs or any(str(tensor.datatype) == "BYTES" for tensor in self.inputs):
            return []
        tensors = [
            Tensor.from_array(tensor.name, np.zeros([1, *tensor.shape[1:]], DATATYPES[str(tensor.datatype)].dtype))
            for tensor in self.inputs
        ]
        try:
            return observed(self.infer_tensors(tensors, (), {}))
        except OIPError as error:
            _log.info("model '%s' cannot be tried with zeros: %s", self.name, error)
            return []

    async def unload(self) -> bool:
        """Let the model go."""
        self._native = self._pyfunc = None
        return True

    async def metadata(self) -> MetadataModelResponse:
        """The signature; the parameters that requests may have beside it are ``mlflow_params``."""
        told = await super().metadata()
        told.platform = self.settings.platform or "mlflow"
        own = {"content_type": self.settings.parameters.content_type, ENGINE: "native" if self._native else "pyfunc"}
        if self._params:
            own["mlflow_params"] = json.dumps(list(self._params.values()))
        told.parameters = PublicParameters(**own)
        return told

    def infer_tensors(
        self, inputs: Sequence[Tensor], outputs: Sequence[str], parameters: Mapping[str, Any]
    ) -> list[Tensor]:
        """Predict for ``inputs``; ``outputs`` chooses among what the model gives.

        Raises InvalidArgumentError for what the caller did wrong.
        """
        if self._pyfunc is not None and CONTENT_TYPE in parameters and [tensor.name for tensor in inputs] == [BODY]:
            return self._invoked(self._pyfunc, inputs, str(parameters[CONTENT_TYPE]))
        tensors = self._answers.tensors(self._answer(inputs, parameters))
        if not outputs:
            return tensors
        by_name = {tensor.name: tensor for tensor in tensors}
        for name in outputs:
            if name not in by_name:
                raise InvalidArgumentError(
                    f"unexpected inference output '{name}' for model '{self.name}', expected {list(by_name)}"
                )
        return [by_name[name] for name in outputs]

    @staticmethod
    def _invoked(pyfunc: PyfuncModel, inputs: Sequence[Tensor], content_type: str) -> list[Tensor]:
        """Requests to MLflow's scoring server as they came, several where they form a batch, and its answers as they
        are."""
        bodies = inputs[0].array.ravel().tolist()
        replies = np.empty(len(bodies), dtype=object)
        replies[:] = [packed_reply(*pyfunc.invocations(body, content_type)) for body in bodies]
        return [Tensor.from_array(REPLY, replies, "BYTES")]

    def _answer(self, inputs: Sequence[Tensor], parameters: Mapping[str, Any]) -> Any:
        if self._pyfunc is not None:
            return self._pyfunc.predict(self._inputs_of.value(inputs, parameters), self._params_of(parameters))
        assert self._native is not None, "load() comes first"
        data = self._inputs_of.matrix(inputs) if self._matrix else None
        if data is None:
            data = self._inputs_of.value(inputs, parameters)
        try:
            return self._native.predict(data)
        except self._mistakes as error:
            raise InvalidArgumentError(f"model '{self.name}' cannot take these inputs: {error}") from error
        except Exception as error:
            raise InternalError(f"model '{self.name}' failed: {type(error).__name__}: {error}") from error

    def _params_of(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """The parameters that the signature knows. Lists come as JSON: parameters of a request have no such thing."""
        given = {name: value for name, value in parameters.items() if name in self._params}
        for name, value in given.items():
            if self._params[name].get("shape") and isinstance(value, str):
                try:
                    given[name] = json.loads(value)
                except (ValueError, RecursionError):
                    raise InvalidArgumentError(
                        f"parameter '{name}' of model '{self.name}' is a list: expected it as JSON, got {value[:40]!r}"
                    ) from None
        return given


def _told(tensor: MetadataTensor) -> TensorMetadata:
    parameters = tensor.parameters.model_dump() if tensor.parameters else None
    return TensorMetadata(tensor.name, str(tensor.datatype), tuple(tensor.shape), parameters)


def _folder(settings: ModelSettings) -> Path:
    """The folder with the MLmodel. Raises ModelLoadError."""
    uri = settings.parameters.uri or "."
    path = Path(uri.removeprefix("file://"))
    if settings.source:
        path = Path(settings.source).parent / path
    path = path.parent if path.name == "MLmodel" else path
    if not path.is_dir():
        raise ModelLoadError(f"model '{settings.name}': there is no folder '{path}' (parameters.uri is '{uri}')")
    return path
