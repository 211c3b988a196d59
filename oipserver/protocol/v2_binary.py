"""The binary tensor data extension: JSON followed by the raw bytes of some tensors, in both directions."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

from ..errors import InvalidArgumentError
from ..tensor import DATATYPES, Tensor
from ..tensor.tensor import Buffer
from .binary_form import BinaryCursor, OutputForm
from .infer import InferRequest, InferResponse
from .metadata import ModelMetadata
from .v2_json import read_request, write_json

LENGTH_HEADER = "Inference-Header-Content-Length"


def json_length(header: bytes, size: int) -> int:
    """How many bytes of a body of ``size`` bytes are JSON, by the value of LENGTH_HEADER; 0 means a raw body.

    Raises InvalidArgumentError for anything but an integer that fits.
    """
    if not header.isdigit() or len(header) > 20:
        raise InvalidArgumentError(f"Unable to parse {LENGTH_HEADER}, got: {header.decode('latin-1')}")
    length = int(header)
    if length > size:
        raise InvalidArgumentError(f"inference header size should be in range (0, {size}), got: {length}")
    return length


def read_binary_request(
    body: Buffer,
    length: int,
    model_name: str,
    model_version: str = "",
    headers: Mapping[str, str] | None = None,
) -> tuple[InferRequest, OutputForm | None]:
    """The request whose first ``length`` bytes are JSON and whose rest is the data of its binary inputs, in order.

    Inputs are views of ``body``. Raises InvalidArgumentError.
    """
    view = memoryview(body)
    return read_request(view[:length], model_name, model_version, headers, BinaryCursor(view[length:], model_name))


def read_raw_request(
    body: Buffer,
    metadata: ModelMetadata,
    model_version: str = "",
    headers: Mapping[str, str] | None = None,
) -> tuple[InferRequest, OutputForm]:
    """The request of a body that is nothing but the data of the model's only input; all outputs are wanted binary.

    Raises InvalidArgumentError where the model's metadata does not say how to read it.
    """
    name = metadata.name
    if not body:
        raise InvalidArgumentError(f"the request for model '{name}' has no body; expected JSON or binary data")
    if len(metadata.inputs) != 1:
        raise InvalidArgumentError(
            "Raw request must only have 1 input (found 1) to be deduced but got "
            f"{len(metadata.inputs)} inputs in '{name}' model configuration"
        )
    declared = metadata.inputs[0]
    datatype = DATATYPES[declared.datatype]
    raw: Buffer = memoryview(body)
    if datatype.itemsize:
        shape = _deduced(declared.name, declared.shape, len(body), datatype.itemsize, name)
    else:
        if any(dim not in (1, -1) for dim in declared.shape) or not declared.shape:
            raise InvalidArgumentError(
                f"For BYTE datatype raw input '{declared.name}', the model must have input shape [1]"
            )
        shape = (1,) * len(declared.shape)
        raw = len(body).to_bytes(4, "little") + bytes(body)
    tensor = Tensor.from_raw(declared.name, datatype, shape, raw, model=name)
    return InferRequest(name, [tensor], model_version, headers=headers), OutputForm(default=True)


def _deduced(tensor: str, shape: tuple[int, ...], size: int, itemsize: int, model: str) -> tuple[int, ...]:
    """``shape`` with its variable dimensions told from ``size`` bytes; of two, the first is a batch of one."""
    if shape.count(-1) == 2 and shape[0] == -1:
        shape = (1, *shape[1:])
    if shape.count(-1) > 1:
        raise InvalidArgumentError(
            f"The shape of the raw input '{tensor}' can not be deduced because there are more than one "
            "variable-sized dimension"
        )
    row = prod(dim for dim in shape if dim != -1) * itemsize
    if -1 not in shape:
        return shape  # from_raw compares the sizes
    if row == 0 or size % row:
        raise InvalidArgumentError(
            f"input byte size mismatch for input '{tensor}' for model '{model}'. "
            f"Expected a multiple of {row}, got {size}"
        )
    return tuple(size // row if dim == -1 else dim for dim in shape)


def write_buffers(
    response: InferResponse, form: OutputForm | None, *, nan_as_null: bool = False
) -> tuple[list[Buffer], int | None]:
    """The body of ``response`` as buffers, and the length of its JSON where binary data follows it (None: all JSON).

    The buffers of binary outputs are views of the tensors. Raises OIPError.
    """
    text, blobs = write_json(response, form, nan_as_null=nan_as_null)
    if not blobs:
        return [text], None
    return [text, *blobs], len(text)
