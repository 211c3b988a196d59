"""MLModel: the class a model is written as; knows no server, no wire and no worker."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

if TYPE_CHECKING:
    from .settings import ModelSettings
    from .tensor import Parameters, Tensor
    from .types import InferenceRequest, InferenceResponse, MetadataModelResponse, MetadataTensor

Placement = Literal["in-process", "pool"]


class MLModel:
    """Base class of every model.

    Override ``load`` and ``predict``; or ``infer_tensors`` instead of ``predict`` for models that take arrays and give
    arrays, which spares building request objects; or ``predict_stream`` for models that answer in pieces.
    """

    #: Where the model runs when nobody says: models that release the interpreter lock while they compute are as
    #: parallel in the server's own process; all others belong into worker processes.
    placement: ClassVar[Placement] = "pool"

    def __init__(self, settings: ModelSettings) -> None:
        self._settings = settings
        self.ready = False
        self._inputs: list[MetadataTensor] | None = None
        self._outputs: list[MetadataTensor] | None = None

    @property
    def settings(self) -> ModelSettings:
        """The settings this model was made with."""
        return self._settings

    @property
    def name(self) -> str:
        """The name the model is served under."""
        return self._settings.name

    @property
    def version(self) -> str | None:
        """The version it is served as, None where it has none."""
        return self._settings.version or None

    @property
    def inputs(self) -> list[MetadataTensor]:
        """Metadata of the inputs; a runtime sets it in ``load`` from what it knows of the model."""
        if self._inputs is None:
            self._inputs = _declared(self._settings.inputs)
        return self._inputs

    @inputs.setter
    def inputs(self, value: Sequence[MetadataTensor]) -> None:
        self._inputs = list(value)

    @property
    def outputs(self) -> list[MetadataTensor]:
        """Metadata of the outputs; a runtime sets it in ``load`` from what it knows of the model."""
        if self._outputs is None:
            self._outputs = _declared(self._settings.outputs)
        return self._outputs

    @outputs.setter
    def outputs(self, value: Sequence[MetadataTensor]) -> None:
        self._outputs = list(value)

    async def load(self) -> bool | None:
        """Load the artefact. False means the model is not ready; None and True that it is."""
        return True

    async def unload(self) -> bool | None:
        """Release what ``load`` took."""
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Answer one request. Raise an OIPError for a mistake of the caller; anything else is an internal error."""
        raise NotImplementedError(f"{type(self).__name__} has neither predict() nor infer_tensors()")

    async def predict_stream(self, payloads: AsyncIterator[InferenceRequest]) -> AsyncIterator[InferenceResponse]:
        """Answer in pieces; by default one answer to the first request."""
        async for payload in payloads:
            yield await self.predict(payload)
            return

    async def metadata(self) -> MetadataModelResponse:
        """What is told about this model."""
        from .types import MetadataModelResponse

        return MetadataModelResponse(
            name=self.name,
            platform=self._settings.platform,
            versions=self._settings.versions,
            inputs=self.inputs,
            outputs=self.outputs,
        )

    if TYPE_CHECKING:
        # Optional: present only where a model has the fast path, so that its absence can be told.
        def infer_tensors(
            self, inputs: Sequence[Tensor], outputs: Sequence[str], parameters: Parameters
        ) -> Sequence[Tensor]:
            """Compute ``outputs`` (all of them where empty) from ``inputs``.

            Called from any thread, several at once; must not keep the buffers of ``inputs`` after it returns.
            """
            raise NotImplementedError


def _declared(tensors: Sequence[Any]) -> list[MetadataTensor]:
    from .types import MetadataTensor

    return [MetadataTensor(**tensor.model_dump(exclude_none=True)) for tensor in tensors]


def has_fast_path(model: MLModel) -> bool:
    """Whether ``model`` has ``infer_tensors``."""
    return hasattr(type(model), "infer_tensors")


def streams(model: MLModel) -> bool:
    """Whether ``model`` has a ``predict_stream`` of its own."""
    return type(model).predict_stream is not MLModel.predict_stream
