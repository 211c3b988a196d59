"""Each unary call from bytes to bytes over the planes; knows no gRPC type, so that another HTTP/2 front can call it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, Protocol, TypeVar

from google.protobuf.message import DecodeError, Message

from ...errors import InvalidArgumentError, NotFoundError, UnavailableError, UnsupportedError
from ...plane import ControlPlane, DataPlane
from ...protocol import TensorMetadata
from ..names import check_model_name
from .convert import encode_response, encode_typed_response, is_typed, parse_infer
from .pb import inference_pb2 as pb

T = TypeVar("T")
M = TypeVar("M", bound=Message)


class Call(Protocol):
    """What a handler may know of the call it answers."""

    headers: Mapping[str, str]

    @property
    def deadline(self) -> int | None:
        """When the caller stops waiting (``time.monotonic_ns``)."""
        ...

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """Run ``work`` on the event loop and wait for it."""
        ...

    def send_headers(self, headers: Mapping[str, str]) -> None:
        """Send ``headers`` with the answer."""
        ...


class InferHandler:
    """Answers ModelInfer, in the thread that calls it where the model can run there."""

    def __init__(self, data: DataPlane, *, typed_answers: bool = False) -> None:
        self._data = data
        self._typed_answers = typed_answers

    def __call__(self, data: bytes, call: Call) -> bytes:
        """The serialized ModelInferResponse to a serialized ModelInferRequest. Raises OIPError."""
        request = parse_infer(data, call.headers, call.deadline)
        encode = encode_typed_response if self._typed_answers and is_typed(request) else encode_response
        response = self._data.infer_here(request)
        if response is None:
            response = call.wait(self._data.infer(request))
        if response.headers:
            call.send_headers(response.headers)
        return encode(response)


class ManagementHandlers:
    """Answers everything else; its methods run on the event loop, where the planes' state changes."""

    def __init__(self, data: DataPlane, control: ControlPlane) -> None:
        self._data = data
        self._control = control

    @property
    def quick(self) -> dict[str, Callable[[bytes], Awaitable[bytes]]]:
        """Calls that are answered at once, by method name."""
        return {
            "ServerLive": self.server_live,
            "ServerReady": self.server_ready,
            "ModelReady": self.model_ready,
            "ServerMetadata": self.server_metadata,
            "ModelMetadata": self.model_metadata,
        }

    @property
    def slow(self) -> dict[str, Callable[[bytes], Awaitable[bytes]]]:
        """Calls that read the repository or load models, by method name."""
        return {
            "RepositoryIndex": self.repository_index,
            "RepositoryModelLoad": self.repository_model_load,
            "RepositoryModelUnload": self.repository_model_unload,
        }

    async def server_live(self, _: bytes) -> bytes:
        """Whether the server answers at all."""
        return pb.ServerLiveResponse(live=self._data.live()).SerializeToString()

    async def server_ready(self, _: bytes) -> bytes:
        """Whether everything that should be served can be."""
        return pb.ServerReadyResponse(ready=self._data.ready()).SerializeToString()

    async def model_ready(self, data: bytes) -> bytes:
        """Whether a model would accept a request; one that does not exist is just not ready."""
        request = _parse(pb.ModelReadyRequest, data)
        try:
            ready = self._data.model_ready(request.name, request.version)
        except (NotFoundError, UnavailableError):
            ready = False
        return pb.ModelReadyResponse(ready=ready).SerializeToString()

    async def server_metadata(self, _: bytes) -> bytes:
        """The server about itself."""
        told = self._data.server_metadata()
        return pb.ServerMetadataResponse(
            name=told.name, version=told.version, extensions=told.extensions
        ).SerializeToString()

    async def model_metadata(self, data: bytes) -> bytes:
        """A model about itself. Raises NotFoundError."""
        request = _parse(pb.ModelMetadataRequest, data)
        told = self._data.model_metadata(check_model_name(request.name), request.version)
        return pb.ModelMetadataResponse(
            name=told.name,
            versions=told.versions or self._data.model_versions(told.name),
            platform=told.platform,
            inputs=[_tensor(tensor) for tensor in told.inputs],
            outputs=[_tensor(tensor) for tensor in told.outputs],
        ).SerializeToString()

    async def repository_index(self, data: bytes) -> bytes:
        """The models that are known. Raises OIPError."""
        request = _parse(pb.RepositoryIndexRequest, data)
        if request.repository_name:
            raise _one_repository()
        rows = await self._control.index(ready=request.ready)
        index = pb.RepositoryIndexResponse.ModelIndex
        return pb.RepositoryIndexResponse(
            models=[index(name=row.name, version=row.version, state=row.state.value, reason=row.reason) for row in rows]
        ).SerializeToString()

    async def repository_model_load(self, data: bytes) -> bytes:
        """Load a model. Raises OIPError."""
        request = _parse(pb.RepositoryModelLoadRequest, data)
        name = _model_to_control(request.repository_name, request.model_name)
        for key in request.parameters:
            if key == "config" or key.startswith("file:"):
                raise UnsupportedError(f"load parameter '{key}' is not supported: put the files into the repository")
            raise InvalidArgumentError(f"unrecognized load parameter '{key}'.")
        await self._control.load(name)
        if request.model_name:
            return b""
        return pb.RepositoryModelLoadResponse(model_name=name, is_loaded=True).SerializeToString()

    async def repository_model_unload(self, data: bytes) -> bytes:
        """Unload a model. Raises OIPError."""
        request = _parse(pb.RepositoryModelUnloadRequest, data)
        name = _model_to_control(request.repository_name, request.model_name)
        for key, parameter in request.parameters.items():
            # No model here has dependents, so that there is nothing to do about them.
            if key != "unload_dependents":
                raise InvalidArgumentError(f"unrecognized unload parameter '{key}'.")
            if not parameter.HasField("bool_param"):
                raise InvalidArgumentError(f"invalid value type for '{key}' parameter, expected bool_param.")
        await self._control.unload(name)
        if request.model_name:
            return b""
        return pb.RepositoryModelUnloadResponse(model_name=name, is_unloaded=True).SerializeToString()


def _parse(kind: type[M], data: bytes) -> M:
    try:
        return kind.FromString(data)
    except DecodeError:
        raise InvalidArgumentError(f"the message is not a {kind.__name__}") from None


def _tensor(tensor: TensorMetadata) -> pb.ModelMetadataResponse.TensorMetadata:
    return pb.ModelMetadataResponse.TensorMetadata(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)


def _model_to_control(repository: str, model: str) -> str:
    """The model meant: KServe's dialect has its name where this one has the repository's."""
    if repository and model:
        raise _one_repository()
    return check_model_name(model or repository)


def _one_repository() -> UnsupportedError:
    return UnsupportedError("'repository_name' specification is not supported")
