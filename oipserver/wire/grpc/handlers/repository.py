"""The calls of the model repository extension over the control plane."""

from __future__ import annotations

from collections.abc import Mapping

from ....errors import InvalidArgumentError, UnsupportedError
from ....pb import inference_pb2 as pb
from ....plane import ControlPlane
from ....protocol import ModelState
from ....repository import Overrides, check_file
from ...names import check_controlled_name
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
            models=[
                index(name=row.name)  # never loaded
                if row.state is ModelState.UNKNOWN
                else index(name=row.name, version=row.version, state=row.state.value, reason=row.reason)
                for row in rows
            ]
        ).SerializeToString()

    async def repository_model_load(self, data: bytes) -> bytes:
        """Load a model. Raises OIPError."""
        request = parsed(pb.RepositoryModelLoadRequest, data)
        name = _model_to_control(request.repository_name, request.model_name)
        await self._control.load(name, _overrides(request.parameters))
        if request.model_name:
            return b""
        return pb.RepositoryModelLoadResponse(model_name=name, is_loaded=True).SerializeToString()

    async def repository_model_unload(self, data: bytes) -> bytes:
        """Unload a model. Raises OIPError."""
        request = parsed(pb.RepositoryModelUnloadRequest, data)
        name = _model_to_control(request.repository_name, request.model_name)
        dependents = False
        for key, parameter in request.parameters.items():
            if key != "unload_dependents":
                raise InvalidArgumentError(f"unrecognized unload parameter '{key}'.")
            if not parameter.HasField("bool_param"):
                raise InvalidArgumentError(f"invalid value type for '{key}' parameter, expected bool_param.")
            dependents = parameter.bool_param
        await self._control.unload(name, dependents=dependents)
        if request.model_name:
            return b""
        return pb.RepositoryModelUnloadResponse(model_name=name, is_unloaded=True).SerializeToString()


def _overrides(parameters: Mapping[str, pb.ModelRepositoryParameter]) -> Overrides | None:
    """What a load request overrides; None where nothing. Raises InvalidArgumentError."""
    texts: dict[str, str] = {}
    files: dict[str, bytes] = {}
    for key, parameter in parameters.items():
        if key in ("config", "uri"):
            _require(key, parameter, "string_param")
            texts[key] = parameter.string_param
        elif key.startswith("file:"):
            _require(key, parameter, "bytes_param")
            files[check_file(key.removeprefix("file:"))] = parameter.bytes_param
        else:
            raise InvalidArgumentError(f"unrecognized load parameter '{key}'.")
    return Overrides(texts.get("config"), files, texts.get("uri")) if parameters else None


def _require(key: str, parameter: pb.ModelRepositoryParameter, kind: str) -> None:
    if parameter.WhichOneof("parameter_choice") != kind:
        raise InvalidArgumentError(f"invalid value type for load parameter '{key}', expected {kind}.")


def _model_to_control(repository: str, model: str) -> str:
    """The model meant: KServe's dialect has its name where this one has the repository's."""
    if repository and model:
        raise _one_repository()
    return check_controlled_name(model or repository)


def _one_repository() -> UnsupportedError:
    return UnsupportedError("'repository_name' specification is not supported")
