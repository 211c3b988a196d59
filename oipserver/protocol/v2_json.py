"""V2 inference requests and responses as JSON values; knows no transport.

Every member of a request is checked by hand: no schema library is quick enough for this path. Members the protocol
does not know are ignored.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from ..errors import InternalError, InvalidArgumentError
from ..tensor import (
    DATATYPES,
    Datatype,
    Parameters,
    Tensor,
    array_from_json,
    array_to_json,
    element_count,
    lookup_datatype,
)
from ..tensor.packing import counts_characters
from ..tensor.tensor import Buffer
from .binary_form import BinaryCursor, OutputForm
from .infer import InferRequest, InferResponse, RequestedOutput
from .json_text import parse_json
from .members import byte_count, came, flag, id_of, wrong
from .parameters import read_parameters, without
from .regions import REGION, Place, PlacedTensor, take_output_place, take_place
from .reserved import check_request_parameters, class_count

MAX_TENSORS = 4096

_ONE_OF = (
    "Input must set only one of the following fields: 'data', 'binary_data_size' in 'parameters', "
    "'shared_memory_region' in 'parameters'. But "
)


def read_request(
    text: Buffer | str | dict[str, Any],
    model_name: str,
    model_version: str = "",
    headers: Mapping[str, str] | None = None,
    binary: BinaryCursor | None = None,
) -> tuple[InferRequest, OutputForm | None]:
    """The request that ``text`` (JSON, or a value parsed from it) stands for, and the form its answer is wanted in.

    ``binary`` holds what followed the JSON, for inputs with a ``binary_data_size``. The form is None where every output
    is wanted as JSON. Raises InvalidArgumentError naming the member, what was expected and what came.
    """
    document = text if isinstance(text, dict) else parse_json(text)
    if not isinstance(document, dict):
        raise InvalidArgumentError(f"unable to parse the request: expected a JSON object, got {came(document)}")
    parameters = read_parameters(document.get("parameters"))
    form = None
    if "binary_data_output" in parameters:
        form = OutputForm(flag(parameters["binary_data_output"], "binary_data_output"))
        parameters = without(parameters, "binary_data_output")
    if parameters:
        check_request_parameters(parameters)
    listed = document.get("outputs")
    outputs: list[RequestedOutput] = []
    classes: dict[str, int] | None = None
    places: dict[str, Place] = {}
    placed: list[PlacedTensor] = []
    if listed:
        outputs, form = _outputs(listed, form, places)
        classes = _classes(outputs)
    request = InferRequest(
        model_name,
        [_input(item, binary, placed) for item in _items(document, "inputs")],
        model_version,
        id_of(document.get("id")),
        outputs,
        parameters,
        headers,
        None,
        classes,
    )
    if places or placed:
        request.regions = places
    if binary is not None:
        binary.finish()
    return request, form if form is not None and form.wanted else None


def _items(document: Mapping[str, Any], member: str) -> list[Any]:
    items = document.get(member)
    if not isinstance(items, list):
        if member not in document:
            raise InvalidArgumentError(f"Unable to parse '{member}': the request has no member '{member}'")
        raise wrong(member, "a list", items)
    if len(items) > MAX_TENSORS:
        raise InvalidArgumentError(f"Unable to parse '{member}': at most {MAX_TENSORS} are allowed, got {len(items)}")
    return items


def _name(item: object, of: str) -> str:
    if not isinstance(item, dict):
        raise wrong(of, "a list of objects", item)
    name = item.get("name")
    if not isinstance(name, str):
        if "name" not in item:
            raise InvalidArgumentError(f"Unable to parse 'name': an item of '{of}' has no member 'name'")
        raise wrong("name", "a string", name)
    return name


def _outputs(
    listed: object, form: OutputForm | None, places: dict[str, Place]
) -> tuple[list[RequestedOutput], OutputForm | None]:
    outputs: list[RequestedOutput] = []
    named: dict[str, bool] = {}
    for item in _items({"outputs": listed}, "outputs"):
        name = _name(item, "outputs")
        if name in named:
            raise InvalidArgumentError(f"output '{name}' already exists in request")
        parameters = read_parameters(item.get("parameters"))
        named[name] = False
        if "binary_data" in parameters:
            named[name] = flag(parameters["binary_data"], "binary_data")
            parameters = without(parameters, "binary_data")
        if REGION in parameters:
            parameters = take_output_place(parameters, name, places, binary=named[name]) or {}
        outputs.append(RequestedOutput(name, parameters or None))
    if form is None and True not in named.values():
        return outputs, None
    return outputs, OutputForm(form.default if form else False, named)


def _classes(outputs: list[RequestedOutput]) -> dict[str, int] | None:
    """How many classes are wanted of which outputs; None where of none."""
    wanted: dict[str, int] | None = None
    for output in outputs:
        parameters = output.parameters
        if parameters and "classification" in parameters:
            wanted = wanted or {}
            wanted[output.name] = class_count(parameters)
    return wanted


def _input(item: Any, binary: BinaryCursor | None, placed: list[PlacedTensor]) -> Tensor:
    name = _name(item, "inputs")
    shape = _shape(item, name)
    told = item.get("datatype")
    datatype = DATATYPES.get(told) if type(told) is str else None
    if datatype is None:
        datatype = lookup_datatype(_required(item, "datatype", name), name)
    given = item.get("parameters")
    parameters = read_parameters(given) if given is not None else None
    if parameters:
        if REGION in parameters:
            placed.append(_placed_input(item, name, datatype, shape, parameters))
            return placed[-1]
        if "binary_data_size" in parameters:
            return _binary_input(item, name, datatype, shape, parameters, binary)
    if "data" not in item:
        raise InvalidArgumentError(f"{_ONE_OF}no field is set (input '{name}')")
    data = item["data"]
    if -1 in shape:
        shape = _resolved(shape, data, name)
    text = datatype.kind == "bytes"
    if text and counts_characters(shape, data):
        shape = (1,)
    array = array_from_json(data, datatype, shape, name)
    return Tensor(name, datatype.name, shape, array, None, parameters or None, text=text)


def _placed_input(
    item: Mapping[str, Any], name: str, datatype: Datatype, shape: tuple[int, ...], parameters: Parameters
) -> PlacedTensor:
    if also := [member for member in ("data", "binary_data_size") if member in item or member in parameters]:
        raise InvalidArgumentError(f"{_ONE_OF}set '{also[0]}' 'shared_memory_region' (input '{name}')")
    place, rest = take_place(parameters, name)
    return PlacedTensor(name, datatype.name, shape, place, rest)


def _binary_input(
    item: Mapping[str, Any],
    name: str,
    datatype: Datatype,
    shape: tuple[int, ...],
    parameters: Parameters,
    binary: BinaryCursor | None,
) -> Tensor:
    if "data" in item:
        raise InvalidArgumentError(f"{_ONE_OF}set 'data' 'binary_data_size' (input '{name}')")
    size = byte_count(parameters["binary_data_size"], "binary_data_size")
    if binary is None:
        raise InvalidArgumentError(
            f"input '{name}' has a 'binary_data_size', but the request carries no binary data: "
            "the header Inference-Header-Content-Length is missing"
        )
    rest = without(parameters, "binary_data_size") if len(parameters) > 1 else None
    return Tensor.from_raw(name, datatype, shape, binary.take(size, name), rest, model=binary.model)


def _required(item: Mapping[str, Any], member: str, tensor: str) -> object:
    value: object = item.get(member)
    if value is None and member not in item:
        raise InvalidArgumentError(f"Unable to parse '{member}': input '{tensor}' has no member '{member}'")
    return value


def _shape(item: Mapping[str, Any], tensor: str) -> tuple[int, ...]:
    """The shape of an input; it may hold one -1 that its data is to say."""
    shape = item.get("shape")
    if type(shape) is not list:
        shape = _required(item, "shape", tensor)
        if not isinstance(shape, list):
            raise wrong("shape", f"a list of integers for input '{tensor}'", shape)
    for dim in shape:
        if type(dim) is not int or dim < 0:
            _check_open_dimension(shape, dim, tensor)
    return tuple(shape)


def _check_open_dimension(shape: list[Any], dim: object, tensor: str) -> None:
    if type(dim) is not int:
        raise wrong("shape", f"a list of integers for input '{tensor}'", dim)
    if dim != -1 or shape.count(-1) > 1:
        raise InvalidArgumentError(
            f"Unable to parse 'shape': input '{tensor}' has shape {shape}: dimensions are 0 or more, "
            "and at most one may be -1, to be told from the data"
        )


def _resolved(shape: tuple[int, ...], data: object, tensor: str) -> tuple[int, ...]:
    """``shape`` with its -1 replaced by what the number of elements in ``data`` leaves."""
    known = element_count([dim for dim in shape if dim != -1], tensor)
    count = sum(1 for _ in leaves(data))
    if known == 0 or count % known:
        raise InvalidArgumentError(
            f"Unable to parse 'shape': input '{tensor}' has shape {list(shape)}, which {count} elements cannot fill"
        )
    return tuple(count // known if dim == -1 else dim for dim in shape)


def leaves(data: object) -> Iterator[object]:
    """What is in nested lists, in no particular order; a value that is no list alone."""
    pending = [data]
    while pending:
        item = pending.pop()
        if isinstance(item, list):
            pending.extend(item)
        else:
            yield item


def response_document(
    response: InferResponse, form: OutputForm | None = None, *, literals: bool = False
) -> tuple[dict[str, Any], list[Buffer]]:
    """``response`` as a value that orjson writes, and the binary data of the outputs wanted so, in their order.

    ``literals``: see ``array_to_json``. Raises InvalidArgumentError where an output cannot be JSON (bytes that are no
    text).
    """
    document: dict[str, Any] = {}
    if response.id:
        document["id"] = response.id
    document["model_name"] = response.model_name
    if response.model_version:
        document["model_version"] = response.model_version
    if response.parameters:
        document["parameters"] = response.parameters
    blobs: list[Buffer] = []
    outputs: list[dict[str, Any]] = []
    for tensor in response.outputs:
        output: dict[str, Any] = {"name": tensor.name, "datatype": tensor.datatype, "shape": tensor.shape}
        parameters = tensor.parameters
        if form is not None and form.binary(tensor.name):
            raw = tensor.raw
            size = raw.nbytes if isinstance(raw, memoryview) else len(raw)
            output["parameters"] = (
                {**parameters, "binary_data_size": size} if parameters else {"binary_data_size": size}
            )
            blobs.append(raw)
        # Where a tensor was written the caller knows, and Triton does not say: its C++ client takes every output with
        # parameters for one with binary data.
        elif type(tensor) is not PlacedTensor:
            if parameters:
                output["parameters"] = parameters
            output["data"] = array_to_json(tensor, literals=literals)
        outputs.append(output)
    document["outputs"] = outputs
    return document, blobs


def write_json(
    response: InferResponse, form: OutputForm | None = None, *, nan_as_null: bool = False
) -> tuple[bytes, list[Buffer]]:
    """The JSON text of ``response``, and the binary data that follows it.

    NaN and infinities are the literals NaN, Infinity and -Infinity; with ``nan_as_null`` they are null. Raises
    OIPError.
    """
    document, blobs = response_document(response, form)
    text = _dump(document)
    if not nan_as_null and b"null" in text:
        # Looking for the word in the text costs a hundredth of looking for NaN in every array.
        document, blobs = response_document(response, form, literals=True)
        text = _dump(document)
    return text, blobs


def _dump(document: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)
    except orjson.JSONEncodeError as error:
        raise InternalError(
            f"the answer of model '{document.get('model_name', '')}' cannot be written as JSON: {error}"
        ) from error


def write_response(response: InferResponse, *, nan_as_null: bool = False) -> bytes:
    """The JSON text of ``response`` with all data in it. Raises OIPError."""
    return write_json(response, nan_as_null=nan_as_null)[0]
