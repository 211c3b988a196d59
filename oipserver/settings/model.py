"""Settings of one model, in MLServer's names; reads no file and no environment."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr

from .base import SettingsModel


class TensorSettings(BaseModel):
    """One input or output as ``model-settings.json`` declares it."""

    model_config = ConfigDict(extra="ignore")

    name: str
    datatype: str
    shape: list[int]
    parameters: dict[str, Any] | None = None


class ModelParameters(SettingsModel):
    """Where the model's artefact is, which version it is, and what its runtime wants to know. Other keys are kept."""

    model_config = ConfigDict(extra="allow", coerce_numbers_to_str=True)  # a version is often written as a number

    uri: str | None = Field(None, description="File or folder of the artefact, relative to the settings file.")
    version: str | None = Field(None, description="Version of this model.")
    environment_path: str | None = Field(None, description="An unpacked Python environment to run the model in.")
    environment_tarball: str | None = Field(None, description="A packed Python environment to run the model in.")
    inference_pool_gid: str | None = Field(
        None, description="Models with the same gid share a worker pool of their own."
    )
    autogenerate_inference_pool_gid: bool = Field(False, description="Give this model a worker pool of its own.")
    format: str | None = Field(None, description="Format of the artefact, where the runtime reads several.")
    content_type: str | None = Field(None, description="Default content type of requests.")
    extra: dict[str, Any] = Field(default_factory=dict, description="Settings of the runtime itself.")


def _import_path(implementation: Any) -> Any:
    """Where a class given instead of its name is imported from; anything else as it is."""
    if isinstance(implementation, type):
        return f"{implementation.__module__}.{implementation.__qualname__}"
    return implementation


class ModelSettings(SettingsModel):
    """Everything that can be set for one model version: the keys of ``model-settings.json``."""

    model_config = ConfigDict(extra="ignore", populate_by_name=True, protected_namespaces=())

    name: str = Field("", description="Name of the model; default: its folder's.")
    implementation: Annotated[str, BeforeValidator(_import_path)] = Field(
        "", description="Runtime name ('onnx') or import path of an MLModel class."
    )
    platform: str = Field("", description="Platform shown in metadata; default: the runtime's.")
    versions: list[str] = Field(default_factory=list, description="Free text shown in metadata.")
    inputs: list[TensorSettings] = Field(default_factory=list, description="Inputs; default: what the runtime knows.")
    outputs: list[TensorSettings] = Field(default_factory=list, description="Outputs; default: what the runtime knows.")
    parameters: ModelParameters = Field(default_factory=lambda: ModelParameters(), description="See ModelParameters.")

    parallel_workers: int | None = Field(None, ge=0, description="Workers for this model; 0: the server's own process.")
    max_batch_size: int | None = Field(None, ge=0, description="Most rows of a batch; 0 or 1: no batching.")
    max_batch_time: float | None = Field(None, ge=0, description="Longest wait, in seconds, to fill a batch.")
    preferred_batch_size: list[int] = Field(
        default_factory=list, description="Batch sizes to dispatch without waiting on."
    )
    max_queue_size: int | None = Field(None, gt=0, description="Most waiting requests; more are refused at once.")
    queue_timeout: float | None = Field(None, gt=0, description="Longest wait in the queue, in seconds.")
    priority_levels: int = Field(0, ge=0, description="Number of priorities; 1 is served first; 0: no priorities.")
    default_priority: int = Field(0, ge=0, description="Priority of requests that name none; 0: the middle one.")
    independent_rows: bool = Field(False, description="Requests larger than max_batch_size may be split by rows.")
    enforce_inputs: bool | None = Field(
        None,
        description="Refuse requests whose inputs are not as declared; default: for models that take tensors, while "
        "those with predict() judge for themselves.",
    )
    stateful: bool = Field(False, description="The model keeps state between requests: never run one twice.")
    warmup: list[dict[str, Any]] = Field(default_factory=list, description="Requests (V2 JSON) run before it is ready.")
    cache_enabled: bool = Field(
        False, description="Keep answers for repeated requests, where the server's cache_enabled is set."
    )
    configuration: dict[str, Any] | None = Field(
        None, description="Configuration in Triton's form: a ModelConfig as JSON, in its own field names."
    )
    model_folder: str | None = Field(
        None, description="Folder that files named in configuration are relative to; default: the settings file's."
    )

    _source: str | None = PrivateAttr(None)

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, _import_path(value) if name == "implementation" else value)

    @property
    def version(self) -> str:
        """The version of this model, "" where it has none."""
        return self.parameters.version or ""

    @property
    def implementation_(self) -> str:
        """MLServer's name for ``implementation``, which there is the class itself."""
        return self.implementation

    @property
    def source(self) -> str | None:
        """The file these settings were read from, if any."""
        return self._source

    @property
    def folder(self) -> Path:
        """Where the files that ``configuration`` names are: labels, warm-up data, initial states."""
        if self.model_folder is not None:
            return Path(self.model_folder)
        return Path(self._source).parent if self._source else Path(self.parameters.uri or ".")

    @classmethod
    def model_validate(cls, obj: Any, **options: Any) -> Self:
        """From plain values; ``_source`` among them is the file they were read from. Raises ValidationError."""
        settings = super().model_validate(obj, **options)
        if isinstance(obj, dict) and obj.get("_source"):
            settings._source = str(obj["_source"])
        return settings

    @classmethod
    def parse_file(cls, path: str | PathLike[str], **_: Any) -> Self:
        """From a JSON file, whose folder is where relative paths start. Raises OSError and ValidationError."""
        with open(path, "rb") as file:
            settings = cls.model_validate_json(file.read())
        settings._source = str(path)
        return settings
