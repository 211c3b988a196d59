"""The calls of the model repository extension over the control plane."""

from __future__ import annotations

from ....errors import InvalidArgumentError, UnsupportedError
from ....pb import inference_pb2 as pb
from ....plane import ControlPlane
from ...names import check_model_name
from .group import CallGroup, Handler, parsed


class RepositoryCalls(CallGroup):
    """The repository index, and loading and unloading."""

    def __init__(self, control: ControlPlane) -> None:
        self._control = control

    @property
    def calls(self) -> dict[str, Handler]:
        return {
            "RepositoryIndex": self.repository_index,
            "RepositoryModelLoad": self.repository_model_load,
            "RepositoryModelUnload": self.repository_model_unload,
        }

    async def repository_index(self, data: bytes) -> bytes:
        """The models that are known. Raises OIPError."""
        request = parsed(pb.RepositoryIndexRequest, data)
        if request.repository_name:
            raise _one_repository()
        rows = await self._control.index(ready=request.ready)
        index = pb.RepositoryIndexResponse.ModelIndex
        return pb.RepositoryIndexResponse(
            models=[index(name=row.name, version=row.version, state=row.state.value, reason=row.reason) for row in rows]
        ).SerializeToString()

    async def repository_model_load(self, data: bytes) -> bytes:
        """Load a model. Raises OIPError."""
        request = parsed(pb.RepositoryModelLoadRequest, data)
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
        request = parsed(pb.RepositoryModelUnloadRequest, data)
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


def _model_to_control(repository: str, model: str) -> str:
    """The model meant: KServe's dialect has its name where this one has the repository's."""
    if repository and model:
        raise _one_repository()
    return check_model_name(model or repository)


def _one_repository() -> UnsupportedError:
    return UnsupportedError("'repository_name' specification is not supported")
