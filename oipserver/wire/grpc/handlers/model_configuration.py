"""The model configuration extension as messages."""

from __future__ import annotations

from ....configuration import to_message
from ....errors import NotFoundError
from ....pb import inference_pb2 as pb
from ....plane import DataPlane
from ....plane.extensions.model_configuration import model_configuration
from ...names import check_model_name
from ..versions import about_version
from .group import CallGroup, Handler, parsed


class ModelConfigurationCalls(CallGroup):
    """What models are configured as."""

    quick = True

    def __init__(self, data: DataPlane) -> None:
        self._data = data

    @property
    def calls(self) -> dict[str, Handler]:
        return {"ModelConfig": self.model_config}

    async def model_config(self, data: bytes) -> bytes:
        """The configuration of a model version. Raises OIPError."""
        request = parsed(pb.ModelConfigRequest, data)
        try:
            configuration = model_configuration(self._data, check_model_name(request.name), request.version)
        except NotFoundError as error:
            raise about_version(error, self._data, request.name, request.version) from None
        return pb.ModelConfigResponse(config=to_message(configuration)).SerializeToString()
