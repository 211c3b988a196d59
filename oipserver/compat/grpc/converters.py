"""``mlserver.grpc.converters``: public types to and from the messages of the gRPC wire, for clients and tests.

The server itself converts without these: it keeps tensors as bytes and arrays.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.protobuf.message import Message

from ... import types
from ...codecs.lists import as_list
from ...codecs.utils import elements_of
from ...errors import InferenceError, InvalidArgumentError
from ...pb import inference_pb2 as pb
from ...tensor.packing import as_bytes
from ...wire.grpc.contents import CONTENTS_FIELDS
from ...wire.grpc.parameters import read_parameters, write_parameters
from ..raw import pack, unpack


class ParametersConverter:
    """Parameters."""

    @classmethod
    def to_types(cls, pb_object: Mapping[str, pb.InferParameter]) -> types.Parameters:
        return types.Parameters(**read_parameters(pb_object))

    @classmethod
    def from_types(cls, type_object: types.Parameters) -> dict[str, pb.InferParameter]:
        message = pb.ModelInferRequest()
        _write_parameters(type_object, message)
        return dict(message.parameters)


class InferTensorContentsConverter:
    """The elements of a tensor, one field for each group of datatypes."""

    @classmethod
    def to_types(cls, pb_object: pb.InferTensorContents) -> types.TensorData:
        fields = pb_object.ListFields()
        return types.TensorData(list(fields[0][1]) if fields else [])

    @classmethod
    def from_types(cls, type_object: types.TensorData, datatype: types.Datatype | str) -> pb.InferTensorContents:
        name = types.Datatype(datatype).value
        field = CONTENTS_FIELDS.get(name)
        if field is None:
            raise InvalidArgumentError(f"{name} has no field in typed contents: convert with use_raw=True")
        elements = as_list(types.TensorData.model_validate(type_object).elements())
        values: list[Any] = [as_bytes(element) for element in elements] if name == "BYTES" else list(elements)
        contents = pb.InferTensorContents()
        try:
            getattr(contents, field).extend(values)
        except (TypeError, ValueError) as error:
            raise InvalidArgumentError(f"the elements are no {name}: {error}") from error
        return contents


class InferInputTensorConverter:
    """An input."""

    @classmethod
    def to_types(cls, pb_object: pb.ModelInferRequest.InferInputTensor, raw: bytes | None = None) -> types.RequestInput:
        return types.RequestInput(**_tensor_fields(pb_object, types.RequestInput, raw))

    @classmethod
    def from_types(cls, type_object: types.RequestInput, use_raw: bool = False) -> Any:
        return _fill(pb.ModelInferRequest.InferInputTensor(), type_object, use_raw)


class InferOutputTensorConverter:
    """An output."""

    @classmethod
    def to_types(
        cls, pb_object: pb.ModelInferResponse.InferOutputTensor, raw: bytes | None = None
    ) -> types.ResponseOutput:
        return types.ResponseOutput(**_tensor_fields(pb_object, types.ResponseOutput, raw))

    @classmethod
    def from_types(cls, type_object: types.ResponseOutput, use_raw: bool = False) -> Any:
        return _fill(pb.ModelInferResponse.InferOutputTensor(), type_object, use_raw)


class InferRequestedOutputTensorConverter:
    """An output that is asked for."""

    @classmethod
    def to_types(cls, pb_object: pb.ModelInferRequest.InferRequestedOutputTensor) -> types.RequestOutput:
        return types.RequestOutput(name=pb_object.name, **_parameters(pb_object))

    @classmethod
    def from_types(cls, type_object: types.RequestOutput) -> pb.ModelInferRequest.InferRequestedOutputTensor:
        message = pb.ModelInferRequest.InferRequestedOutputTensor(name=type_object.name)
        _write_parameters(type_object.parameters, message)
        return message


class ModelInferRequestConverter:
    """A request."""

    @classmethod
    def to_types(cls, pb_object: pb.ModelInferRequest) -> types.InferenceRequest:
        raws = pb_object.raw_input_contents
        fields: dict[str, Any] = {
            "id": pb_object.id,
            "inputs": [
                InferInputTensorConverter.to_types(tensor, raws[index] if index < len(raws) else None)
                for index, tensor in enumerate(pb_object.inputs)
            ],
            **_parameters(pb_object),
        }
        if pb_object.outputs:
            fields["outputs"] = [InferRequestedOutputTensorConverter.to_types(output) for output in pb_object.outputs]
        return types.InferenceRequest(**fields)

    @classmethod
    def from_types(
        cls, type_object: types.InferenceRequest, model_name: str, model_version: str | None = "", use_raw: bool = False
    ) -> pb.ModelInferRequest:
        """With ``use_raw`` the data are raw bytes, which every datatype has and which are several times faster."""
        message = pb.ModelInferRequest(model_name=model_name, model_version=model_version or "", id=type_object.id)
        _write_parameters(type_object.parameters, message)
        for request_input in type_object.inputs:
            message.inputs.append(InferInputTensorConverter.from_types(request_input, use_raw))
        if use_raw:
            message.raw_input_contents.extend(pack(request_input) for request_input in type_object.inputs)
        for output in type_object.outputs or ():
            message.outputs.append(InferRequestedOutputTensorConverter.from_types(output))
        return message


class ModelInferResponseConverter:
    """A response."""

    @classmethod
    def to_types(cls, pb_object: pb.ModelInferResponse | pb.ModelStreamInferResponse) -> types.InferenceResponse:
        """Of a call's answer, or of one answer of a stream. Raises InferenceError where that one is an error."""
        if isinstance(pb_object, pb.ModelStreamInferResponse):
            if pb_object.error_message:
                raise InferenceError(pb_object.error_message)
            pb_object = pb_object.infer_response
        raws = pb_object.raw_output_contents
        return types.InferenceResponse(
            model_name=pb_object.model_name,
            model_version=pb_object.model_version or None,
            id=pb_object.id,
            outputs=[
                InferOutputTensorConverter.to_types(tensor, raws[index] if index < len(raws) else None)
                for index, tensor in enumerate(pb_object.outputs)
            ],
            **_parameters(pb_object),
        )

    @classmethod
    def from_types(cls, type_object: types.InferenceResponse, use_raw: bool = False) -> pb.ModelInferResponse:
        message = pb.ModelInferResponse(
            model_name=type_object.model_name, model_version=type_object.model_version or "", id=type_object.id
        )
        _write_parameters(type_object.parameters, message)
        for output in type_object.outputs:
            message.outputs.append(InferOutputTensorConverter.from_types(output, use_raw))
        if use_raw:
            message.raw_output_contents.extend(pack(output) for output in type_object.outputs)
        return message


class ServerMetadataResponseConverter:
    """What the server says about itself."""

    @classmethod
    def to_types(cls, pb_object: pb.ServerMetadataResponse) -> types.MetadataServerResponse:
        return types.MetadataServerResponse(
            name=pb_object.name, version=pb_object.version, extensions=list(pb_object.extensions)
        )

    @classmethod
    def from_types(cls, type_object: types.MetadataServerResponse) -> pb.ServerMetadataResponse:
        return pb.ServerMetadataResponse(**type_object.model_dump())


class TensorMetadataConverter:
    """What a model says about an input or output."""

    @classmethod
    def to_types(cls, pb_object: pb.ModelMetadataResponse.TensorMetadata) -> types.MetadataTensor:
        return types.MetadataTensor(
            name=pb_object.name, datatype=types.Datatype(pb_object.datatype), shape=list(pb_object.shape)
        )

    @classmethod
    def from_types(cls, type_object: types.MetadataTensor) -> pb.ModelMetadataResponse.TensorMetadata:
        return pb.ModelMetadataResponse.TensorMetadata(
            name=type_object.name, datatype=str(type_object.datatype), shape=type_object.shape
        )


class ModelMetadataResponseConverter:
    """What a model says about itself."""

    @classmethod
    def to_types(cls, pb_object: pb.ModelMetadataResponse) -> types.MetadataModelResponse:
        return types.MetadataModelResponse(
            name=pb_object.name,
            versions=list(pb_object.versions),
            platform=pb_object.platform,
            inputs=[TensorMetadataConverter.to_types(tensor) for tensor in pb_object.inputs],
            outputs=[TensorMetadataConverter.to_types(tensor) for tensor in pb_object.outputs],
        )

    @classmethod
    def from_types(cls, type_object: types.MetadataModelResponse) -> pb.ModelMetadataResponse:
        return pb.ModelMetadataResponse(
            name=type_object.name,
            versions=type_object.versions or (),
            platform=type_object.platform,
            inputs=[TensorMetadataConverter.from_types(tensor) for tensor in type_object.inputs or ()],
            outputs=[TensorMetadataConverter.from_types(tensor) for tensor in type_object.outputs or ()],
        )


class RepositoryIndexRequestConverter:
    """A question for the models that are known."""

    @classmethod
    def to_types(cls, pb_object: pb.RepositoryIndexRequest) -> types.RepositoryIndexRequest:
        return types.RepositoryIndexRequest(ready=pb_object.ready)

    @classmethod
    def from_types(cls, type_object: types.RepositoryIndexRequest) -> pb.RepositoryIndexRequest:
        return pb.RepositoryIndexRequest(ready=type_object.ready)


class RepositoryIndexResponseConverter:
    """The models that are known."""

    @classmethod
    def to_types(cls, pb_object: pb.RepositoryIndexResponse) -> types.RepositoryIndexResponse:
        return types.RepositoryIndexResponse(
            root=[RepositoryIndexResponseItemConverter.to_types(item) for item in pb_object.models]
        )

    @classmethod
    def from_types(
        cls, type_object: types.RepositoryIndexResponse, use_model_repository: bool = False
    ) -> pb.RepositoryIndexResponse:
        """``use_model_repository`` chose another service's message, which this server has not: both have one form."""
        return pb.RepositoryIndexResponse(
            models=[RepositoryIndexResponseItemConverter.from_types(item) for item in type_object]
        )


class RepositoryIndexResponseItemConverter:
    """One model that is known."""

    @classmethod
    def to_types(cls, pb_object: pb.RepositoryIndexResponse.ModelIndex) -> types.RepositoryIndexResponseItem:
        return types.RepositoryIndexResponseItem(
            name=pb_object.name,
            version=pb_object.version,
            state=types.State(pb_object.state),
            reason=pb_object.reason,
        )

    @classmethod
    def from_types(
        cls, type_object: types.RepositoryIndexResponseItem, use_model_repository: bool = False
    ) -> pb.RepositoryIndexResponse.ModelIndex:
        """See RepositoryIndexResponseConverter."""
        return pb.RepositoryIndexResponse.ModelIndex(
            name=type_object.name,
            version=type_object.version,
            state=types.State(type_object.state).value,
            reason=type_object.reason,
        )


def _parameters(message: Any) -> dict[str, Any]:
    """The field ``parameters`` of a public type, left out where a message has none."""
    return {"parameters": ParametersConverter.to_types(message.parameters)} if message.parameters else {}


def _write_parameters(parameters: types.Parameters | None, message: Any) -> None:
    if parameters is not None:
        write_parameters(parameters.model_dump(), message.parameters)


def _tensor_fields(message: Any, kind: Any, raw: bytes | None) -> dict[str, Any]:
    data = InferTensorContentsConverter.to_types(message.contents)
    fields = {"name": message.name, "datatype": message.datatype, "shape": list(message.shape), "data": data}
    fields |= _parameters(message)
    if raw is not None:
        fields["data"] = types.TensorData(unpack(kind(**fields), raw))
    return fields


def _fill(message: Any, tensor: types.RequestInput | types.ResponseOutput, use_raw: bool) -> Message:
    message.name, message.datatype = tensor.name, str(tensor.datatype)
    message.shape.extend(tensor.shape)
    _write_parameters(tensor.parameters, message)
    if use_raw:  # there, but empty, as MLServer's own clients send it
        message.contents.SetInParent()
    else:
        contents = InferTensorContentsConverter.from_types(types.TensorData(elements_of(tensor)), tensor.datatype)
        message.contents.CopyFrom(contents)
    filled: Message = message
    return filled
