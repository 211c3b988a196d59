"""Pydantic models of the inference protocol, field for field those of MLServer's ``types``; knows no server.

Source of the shapes: the Open Inference Protocol, and MLServer's public ``mlserver.types`` (names and JSON form).
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, RootModel

from ..tensor import Tensor


class _Model(BaseModel):
    """What all of them share: enum members read back as their values, dumps leave out what was never set."""

    model_config = ConfigDict(use_enum_values=True, protected_namespaces=(), populate_by_name=True)

    def model_dump(self, **kwargs: Any) -> dict[str, Any]:
        return super().model_dump(**{"exclude_unset": True, "exclude_none": True, **kwargs})

    def model_dump_json(self, **kwargs: Any) -> str:
        return super().model_dump_json(**{"exclude_unset": True, "exclude_none": True, **kwargs})


class Datatype(Enum):
    """Datatypes by name."""

    BOOL = "BOOL"
    UINT8 = "UINT8"
    UINT16 = "UINT16"
    UINT32 = "UINT32"
    UINT64 = "UINT64"
    INT8 = "INT8"
    INT16 = "INT16"
    INT32 = "INT32"
    INT64 = "INT64"
    FP16 = "FP16"
    BF16 = "BF16"
    FP32 = "FP32"
    FP64 = "FP64"
    BYTES = "BYTES"


class Parameters(_Model):
    """Parameters of a request, response or tensor; any key is kept."""

    model_config = ConfigDict(extra="allow")

    content_type: str | None = None
    headers: dict[str, Any] | None = None


class TensorData(RootModel[Any]):
    """The elements of a tensor, flat or nested, as a list."""

    root: Any

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]  # iterates elements, as MLServer's does, not fields
        return iter(self.root)

    def __getitem__(self, index: int | slice) -> Any:
        return self.root[index]

    def __len__(self) -> int:
        return len(self.root)


class RequestInput(_Model):
    """An input tensor."""

    name: str
    shape: list[int]
    datatype: Datatype
    parameters: Parameters | None = None
    data: TensorData

    _tensor: Tensor | None = PrivateAttr(None)


class RequestOutput(_Model):
    """An output the caller asks for."""

    name: str
    parameters: Parameters | None = None


class ResponseOutput(_Model):
    """An output tensor."""

    name: str
    shape: list[int]
    datatype: Datatype
    parameters: Parameters | None = None
    data: TensorData

    _tensor: Tensor | None = PrivateAttr(None)


class InferenceRequest(_Model):
    """A request for inference."""

    id: str | None = None
    parameters: Parameters | None = None
    inputs: list[RequestInput]
    outputs: list[RequestOutput] | None = None


class InferenceResponse(_Model):
    """The answer to a request for inference."""

    model_name: str
    model_version: str | None = None
    id: str | None = None
    parameters: Parameters | None = None
    outputs: list[ResponseOutput]


class InferenceErrorResponse(_Model):
    """The answer to a request that failed."""

    error: str | None = None


class MetadataServerResponse(_Model):
    """What a server says about itself."""

    name: str
    version: str
    extensions: list[str]


class MetadataServerErrorResponse(_Model):
    """Server metadata could not be given."""

    error: str


class MetadataTensor(_Model):
    """Name, datatype and shape of an input or output; -1 is a dynamic dimension."""

    name: str
    datatype: Datatype
    shape: list[int]
    parameters: Parameters | None = None


class MetadataModelResponse(_Model):
    """What a model says about itself."""

    name: str
    versions: list[str] | None = None
    platform: str
    inputs: list[MetadataTensor] | None = Field(default=None)
    outputs: list[MetadataTensor] | None = Field(default=None)
    parameters: Parameters | None = None


class MetadataModelErrorResponse(_Model):
    """Model metadata could not be given."""

    error: str
