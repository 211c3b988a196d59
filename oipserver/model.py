"""MLModel: the class a model is written as; knows no server, no wire and no worker."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from .codecs import (
    InputCodecLike,
    RequestCodecLike,
    decode_inference_request,
    decode_request_input,
    encode_inference_response,
    encode_response_output,
    get_decoded,
    has_decoded,
)
from .codecs.errors import CodecNotFound
from .peers import Caller, Peers, call_name
from .types import (
    InferenceRequest,
    InferenceResponse,
    MetadataModelResponse,
    MetadataTensor,
    RequestInput,
    RequestOutput,
    ResponseOutput,
)
from .types import Parameters as PublicParameters

if TYPE_CHECKING:
    from .errors import OIPError
    from .protocol import InferRequest, InferResponse
    from .settings import ModelSettings
    from .tensor import Parameters, Tensor

Placement = Literal["in-process", "pool", "own-pool"]


class MLModel:
    """Base class of every model.

    Override ``load`` and ``predict``; or ``infer_tensors`` instead of ``predict`` for models that take arrays and give
    arrays, which spares building request objects; or ``predict_stream`` for models that answer in pieces.
    """

    #: Where the model runs when nobody says: models that release the interpreter lock while they compute are as
    #: parallel in the server's own process; all others belong into worker processes, shared with other models or
    #: (``own-pool``) of their own.
    placement: ClassVar[Placement] = "pool"

    #: Whether requests whose inputs are not those of the metadata are refused; False where the metadata tells what is
    #: usual and the model itself judges what it can take.
    strict_inputs: bool = True
    #: Whether ``infer_tensors`` takes a fourth argument: a mapping of outputs to memory that it may compute into
    #: instead of into memory of its own. What it computes elsewhere is copied there behind it.
    fills_targets: bool = False

    def __init__(self, settings: ModelSettings) -> None:
        self._settings = settings
        self._caller: Caller | None = None  # set by whoever runs the model in a server, before ``load``
        #: Whether the model can answer: true from the moment it is loaded until it is unloaded.
        self.ready = False
        self._inputs = _declared(settings.inputs)
        self._inputs_index = _by_name(self._inputs)
        self._outputs = _declared(settings.outputs)
        self._outputs_index = _by_name(self._outputs)

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

    # Neither a property nor an attribute: a model may have its own ``models`` of either kind.
    @cached_property
    def models(self) -> Peers:
        """The server's other models: ``await self.models("other").infer(x=array)``."""
        return Peers(self._caller, call_name(self.name, self.version or ""))

    @property
    def inputs(self) -> list[MetadataTensor]:
        """Metadata of the inputs; a runtime sets it in ``load`` from what it knows of the model."""
        return self._inputs

    @inputs.setter
    def inputs(self, value: Sequence[MetadataTensor]) -> None:
        self._inputs = list(value)
        self._inputs_index = _by_name(self._inputs)

    @property
    def outputs(self) -> list[MetadataTensor]:
        """Metadata of the outputs; a runtime sets it in ``load`` from what it knows of the model."""
        return self._outputs

    @outputs.setter
    def outputs(self, value: Sequence[MetadataTensor]) -> None:
        self._outputs = list(value)
        self._outputs_index = _by_name(self._outputs)

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
        told = MetadataModelResponse(
            name=self.name,
            platform=self._settings.platform,
            versions=self._settings.versions,
            inputs=self.inputs,
            outputs=self.outputs,
        )
        content_type = self._settings.parameters.content_type
        if content_type is not None:
            told.parameters = PublicParameters(content_type=content_type)
        return told

    def decode(self, request_input: RequestInput, default_codec: InputCodecLike | None = None) -> Any:
        """The value an input carries, by its own content type, else that of its metadata, else ``default_codec``.

        Its data as it came where none of them is there, or the content type is not known. Raises CodecError.
        """
        decode_request_input(request_input, self._inputs_index)
        if has_decoded(request_input):
            return get_decoded(request_input)
        return request_input.data if default_codec is None else default_codec.decode_input(request_input)

    def decode_request(self, inference_request: InferenceRequest, default_codec: RequestCodecLike | None = None) -> Any:
        """The value a request carries, by its own content type, else the settings' one, else ``default_codec``.

        The request itself, its inputs decoded each by its content type, where none of them is there. Raises CodecError.
        """
        decode_inference_request(inference_request, self._settings, self._inputs_index)
        if has_decoded(inference_request):
            return get_decoded(inference_request)
        return inference_request if default_codec is None else default_codec.decode_request(inference_request)

    def encode_response(self, payload: Any, default_codec: RequestCodecLike | None = None) -> InferenceResponse:
        """A whole response that carries ``payload``, by the payload's type, else by ``default_codec``.

        Raises CodecNotFound where neither takes it, CodecError where it cannot be encoded.
        """
        response = encode_inference_response(payload, self._settings)
        if response is not None:
            return response
        if default_codec is None:
            raise CodecNotFound(payload_type=str(type(payload)), is_input=False, is_request=True)
        return default_codec.encode_response(self.name, payload, self.version)

    def encode(
        self, payload: Any, request_output: RequestOutput, default_codec: InputCodecLike | None = None
    ) -> ResponseOutput:
        """An output that carries ``payload``, by the content type asked for, that of its metadata, the payload's type
        or ``default_codec``, in this order.

        Raises CodecNotFound where none of them takes it, CodecError where it cannot be encoded.
        """
        output = encode_response_output(payload, request_output, self._outputs_index)
        if output is not None:
            return output
        if default_codec is None:
            raise CodecNotFound(name=request_output.name, is_input=False, is_request=False)
        return default_codec.encode_output(request_output.name, payload)

    if TYPE_CHECKING:
        # Optional: present only where a model has the fast path, so that its absence can be told.
        def infer_tensors(
            self, inputs: Sequence[Tensor], outputs: Sequence[str], parameters: Parameters
        ) -> Sequence[Tensor]:
            """Compute ``outputs`` (all of them where empty) from ``inputs``.

            Called from any thread, several at once; must not keep the buffers of ``inputs`` after it returns.
            """
            raise NotImplementedError

        # Optional as well, for runtimes that are to see each request as it came, its id and parameters included.
        async def infer_requests(self, requests: Sequence[InferRequest]) -> Sequence[InferResponse | OIPError]:
            """Answer ``requests``, one or a whole batch, each with a response or an error of its own, in order.

            Called again only when it has returned, unless the model has several ``instances``.
            """
            raise NotImplementedError

        def stream_request(self, request: InferRequest) -> AsyncGenerator[InferResponse, None]:
            """Answer a request in pieces, where ``decoupled`` says that it does."""
            raise NotImplementedError


def _declared(tensors: Sequence[Any]) -> list[MetadataTensor]:
    return [MetadataTensor(**tensor.model_dump(exclude_none=True)) for tensor in tensors]


def _by_name(tensors: Sequence[MetadataTensor]) -> dict[str, MetadataTensor]:
    return {tensor.name: tensor for tensor in tensors}


def has_fast_path(model: MLModel) -> bool:
    """Whether ``infer_tensors`` answers: the class has it, and no subclass put a ``predict`` of its own before it."""
    for kind in type(model).__mro__:
        if "infer_tensors" in vars(kind):
            return True
        if "predict" in vars(kind):
            return False
    return False


def takes_requests(model: MLModel) -> bool:
    """Whether ``infer_requests`` answers."""
    return hasattr(model, "infer_requests")


def streams(model: MLModel) -> bool:
    """Whether ``model`` answers in pieces: it says so itself, or has a ``predict_stream`` of its own."""
    return getattr(model, "decoupled", False) is True or type(model).predict_stream is not MLModel.predict_stream
