"""Health and metadata calls over the data plane."""

from __future__ import annotations

from ....errors import NotFoundError, UnavailableError
from ....pb import inference_pb2 as pb
from ....plane import DataPlane
from ....protocol import TensorMetadata
from ...names import check_model_name
from ..versions import about_version
from .group import CallGroup, Handler, parsed


class HealthCalls(CallGroup):
    """Whether the server and its models are ready, and what they are."""

    quick = True

    def __init__(self, data: DataPlane) -> None:
        self._data = data

    @property
    def calls(self) -> dict[str, Handler]:
        return {
            "ServerLive": self.server_live,
            "ServerReady": self.server_ready,
            "ModelReady": self.model_ready,
            "ServerMetadata": self.server_metadata,
            "ModelMetadata": self.model_metadata,
        }

    async def server_live(self, _: bytes) -> bytes:
        """Whether the server answers at all."""
        return pb.ServerLiveResponse(live=self._data.live()).SerializeToString()

    async def server_ready(self, _: bytes) -> bytes:
        """Whether everything that should be served can be."""
        return pb.ServerReadyResponse(ready=self._data.ready()).SerializeToString()

    async def model_ready(self, data: bytes) -> bytes:
        """Whether a model would accept a request; one that does not exist is just not ready.

        Raises InvalidArgumentError for a version that cannot be one.
        """
        request = parsed(pb.ModelReadyRequest, data)
        try:
            ready = self._data.model_ready(request.name, request.version)
        except NotFoundError as error:
            told = about_version(error, self._data, request.name, request.version)
            if told is not error:
                raise told from None
            ready = False
        except UnavailableError:
            ready = False
        return pb.ModelReadyResponse(ready=ready).SerializeToString()

    async def server_metadata(self, _: bytes) -> bytes:
        """The server about itself."""
        told = self._data.server_metadata()
        return pb.ServerMetadataResponse(
            name=told.name, version=told.version, extensions=told.extensions
        ).SerializeToString()

    async def model_metadata(self, data: bytes) -> bytes:
        """A model about itself. Raises NotFoundError, InvalidArgumentError for a version that cannot be one."""
        request = parsed(pb.ModelMetadataRequest, data)
        try:
            told = self._data.model_metadata(check_model_name(request.name), request.version)
        except NotFoundError as error:
            raise about_version(error, self._data, request.name, request.version) from None
        return pb.ModelMetadataResponse(
            name=told.name,
            versions=told.versions or self._data.model_versions(told.name),
            platform=told.platform,
            inputs=[_tensor(tensor) for tensor in told.inputs],
            outputs=[_tensor(tensor) for tensor in told.outputs],
        ).SerializeToString()


def _tensor(tensor: TensorMetadata) -> pb.ModelMetadataResponse.TensorMetadata:
    return pb.ModelMetadataResponse.TensorMetadata(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)
