"""Pydantic models of the inference protocol, field for field those of MLServer's ``types``; knows no server.

Source of the shapes: the Open Inference Protocol, and MLServer's public ``mlserver.types`` (names and JSON form).
"""

from __future__ import annotations

from enum import Enum
from typing import Any

from pydantic import ConfigDict, Field

from .base import BaseModel
from .tensor_data import TensorData


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


class Parameters(BaseModel):
    """Parameters of a request, response or tensor; any key is kept."""

    model_config = ConfigDict(extra="allow")

    content_type: str | None = None
    headers: dict[str, Any] | None = None


class RequestInput(BaseModel):
    """An input tensor."""

    name: str
    shape: list[int]
    datatype: Datatype
    parameters: Parameters | None = None
    data: TensorData


class RequestOutput(BaseModel):
    """An output the caller asks for."""

    name: str
    parameters: Parameters | None = None


class ResponseOutput(BaseModel):
    """An output tensor."""

    name: str
    shape: list[int]
    datatype: Datatype
    parameters: Parameters | None = None
    data: TensorData


class InferenceRequest(BaseModel):
    """A request for inference."""

    id: str | None = None
    parameters: Parameters | None = None
    inputs: list[RequestInput]
    outputs: list[RequestOutput] | None = None


class InferenceResponse(BaseModel):
    """The answer to a request for inference."""

    model_name: str
    model_version: str | None = None
    id: str | None = None
    parameters: Parameters | None = None
    outputs: list[ResponseOutput]


class InferenceErrorResponse(BaseModel):
    """The answer to a request that failed."""

    error: str | None = None


class MetadataServerResponse(BaseModel):
    """What a server says about itself."""

    name: str
    version: str
    extensions: list[str]


class MetadataServerErrorResponse(BaseModel):
    """Server metadata could not be given."""

    error: str


class MetadataTensor(BaseModel):
    """Name, datatype and shape of an input or output; -1 is a dynamic dimension."""

    name: str
    datatype: Datatype
    shape: list[int]
    parameters: Parameters | None = None


class MetadataModelResponse(BaseModel):
    """What a model says about itself."""

    name: str
    versions: list[str] | None = None
    platform: str
    inputs: list[MetadataTensor] | None = Field(default=None)
    outputs: list[MetadataTensor] | None = Field(default=None)
    parameters: Parameters | None = None


class MetadataModelErrorResponse(BaseModel):
    """Model metadata could not be given."""

    error: str
