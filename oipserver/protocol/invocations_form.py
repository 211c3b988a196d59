"""MLflow's scoring protocol, the bodies of ``/invocations``, to requests and from responses; knows no transport.

Of a model that MLflow itself runs the body goes to the model as it came, and so does the answer.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from ..errors import InternalError, InvalidArgumentError
from ..tensor import DATATYPES, Tensor
from ..tensor.json_data import bf16_from_float32, float32_from_bf16
from ..tensor.tensor import Buffer, Parameters
from .infer import InferRequest, InferResponse
from .invocations_table import (
    DEFAULT,
    INVALID,
    InvocationsError,
    Table,
    csv_table,
    parquet_table,
    records_table,
    split_table,
)
from .json_text import parse_json
from .metadata import ModelMetadata, TensorMetadata

JSON, CSV, PARQUET = "application/json", "text/csv", "application/vnd.apache.parquet"

#: The parameter of a model's metadata that says who runs it, and its word for MLflow itself.
ENGINE, PYFUNC = "mlflow_engine", "pyfunc"
#: Its word for a framework alone, and the input by which such a model takes all its columns in one tensor.
NATIVE, TABLE = "native", "mlflow_table"
#: The one input of a model that MLflow runs, and the parameter with its content type; its one output, of replies.
BODY, CONTENT_TYPE, REPLY = "mlflow_body", "mlflow_content_type", "mlflow_reply"

_SPLIT, _RECORDS, _INSTANCES, _INPUTS = _FORMATS = ("dataframe_split", "dataframe_records", "instances", "inputs")
_EXACTLY_ONE = f"The input must be a JSON dictionary with exactly one of the input fields {list(_FORMATS)}"
_BOOLS = {"true": True, "false": False}
_V2 = frozenset({"name", "datatype", "shape", "data"})


@dataclass(frozen=True, slots=True)
class Invocation:
    """A request, and what its answer is to look like: ``rows`` where a table came, ``raw`` where the model writes it
    itself, ``named`` where outputs are told by their names even if there is one alone."""

    request: InferRequest
    rows: bool = False
    raw: bool = False
    named: bool = True


def is_v2(body: Buffer) -> bool:
    """Whether ``body`` is an inference request of V2, which no form of MLflow's can be mistaken for."""
    if b'"datatype"' not in bytes(body):
        return False
    try:
        document = parse_json(body)
    except InvalidArgumentError:
        return False
    inputs = document.get(_INPUTS) if isinstance(document, dict) else None
    return isinstance(inputs, list) and bool(inputs) and all(isinstance(i, dict) and i.keys() >= _V2 for i in inputs)


def read_invocations(body: Buffer, content_type: str, metadata: ModelMetadata, version: str = "") -> Invocation:
    """What ``body`` asks of the model that ``metadata`` describe. Raises InvocationsError."""
    engine = metadata.parameters.get(ENGINE)
    if engine == PYFUNC:
        whole = Tensor(BODY, "BYTES", (1,), array=np.array([bytes(body)], dtype=object))
        return Invocation(
            InferRequest(metadata.name, [whole], version, parameters={CONTENT_TYPE: content_type}), raw=True
        )
    params: Parameters = {}
    if content_type == JSON:
        document = _document(body)
        params = _params(document.get("params"))
        tensors, rows = _tensors(document, metadata)
    else:
        tensors, rows = _of_table(csv_table(body) if content_type == CSV else parquet_table(body), metadata), True
    if rows and not metadata.inputs:
        params.setdefault("content_type", "pd")
    return Invocation(InferRequest(metadata.name, tensors, version, parameters=params), rows, named=engine is None)


# -- bodies ------------------------------------------------------------------------------------------------------------


def _document(body: Buffer) -> dict[str, Any]:
    try:
        document = parse_json(body)
    except InvalidArgumentError as error:
        raise InvocationsError(f"Ensure that input is a valid JSON formatted string. Error: {error.message}") from None
    if isinstance(document, dict):
        return document
    got = "a list" if isinstance(document, list) else f"unexpected input type {type(document).__name__}"
    raise InvocationsError(f"{_EXACTLY_ONE}. Received {got}.")


def _params(given: Any) -> Parameters:
    """``params`` as parameters of a request, which are scalars: whatever is none goes as JSON."""
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise InvocationsError(f"params must be an object, got {type(given).__name__}", INVALID)
    return {
        str(name): value if isinstance(value, (bool, int, float, str)) else orjson.dumps(value).decode()
        for name, value in given.items()
    }


def _tensors(document: Mapping[str, Any], metadata: ModelMetadata) -> tuple[list[Tensor], bool]:
    """The inputs in ``document``, and whether they came as a table."""
    formats = [form for form in _FORMATS if form in document]
    if len(formats) != 1:
        raise InvocationsError(f"{_EXACTLY_ONE}. Received dictionary with input fields: {list(document)}.")
    data = document[formats[0]]
    if formats[0] == _SPLIT:
        return _whole(data, metadata) or _of_table(split_table(data), metadata), True
    if formats[0] == _RECORDS:
        if not isinstance(data, list) or not all(isinstance(row, dict) for row in data):
            raise InvocationsError("Dataframe records format must be a list of records.")
        return _of_table(records_table(data), metadata), True
    if isinstance(data, dict):
        wrapped = {name: value if isinstance(value, list) else [value] for name, value in data.items()}
        return _of_table(wrapped, metadata), False
    if isinstance(data, list) and data and all(isinstance(row, dict) for row in data):
        return _of_table(records_table(data), metadata), True
    return [_alone(data if isinstance(data, list) else [data], metadata)], False


def _whole(data: Any, metadata: ModelMetadata) -> list[Tensor] | None:
    """Rows of numbers in one tensor, where they are in the order of a native model's inputs, all of one datatype; None
    where they are not, or something is wrong with them."""
    inputs = metadata.inputs
    if not inputs or metadata.parameters.get(ENGINE) != NATIVE or not isinstance(data, dict) or len(data) != 2:
        return None
    if data.get("columns") != [tensor.name for tensor in inputs] or len({tensor.datatype for tensor in inputs}) > 1:
        return None
    dtype = DATATYPES[inputs[0].datatype].dtype
    try:
        array = np.array(data.get("data"), dtype=dtype if dtype.kind == "f" else None)
    except (ValueError, TypeError):
        return None
    if array.dtype != dtype or dtype.kind == "O" or array.shape[1:] != (len(inputs),):
        return None
    return [Tensor(TABLE, inputs[0].datatype, array.shape, array=array)]


# -- tensors -----------------------------------------------------------------------------------------------------------


def _of_table(table: Table, metadata: ModelMetadata) -> list[Tensor]:
    inputs = metadata.inputs
    if not inputs:
        return [_tensor(TensorMetadata(name, _guessed(values), (-1,)), values) for name, values in table.items()]
    if len(inputs) == 1 and len(inputs[0].shape) == 2 and inputs[0].name not in table:
        columns = [_array(TensorMetadata(name, inputs[0].datatype, (-1,)), values) for name, values in table.items()]
        if columns and len({column.shape for column in columns}) == 1 and columns[0].ndim == 1:
            return [Tensor.from_array(inputs[0].name, np.stack(columns, axis=1), inputs[0].datatype)]
    missing = [tensor.name for tensor in inputs if tensor.name not in table and not _is_optional(tensor)]
    if missing:
        raise _missing(missing, metadata)
    return [_tensor(tensor, table[tensor.name]) for tensor in inputs if tensor.name in table]


def _alone(values: list[Any], metadata: ModelMetadata) -> Tensor:
    """The one input of a model that ``values`` must be, since nothing in them has a name."""
    if len(metadata.inputs) > 1:
        raise _missing([tensor.name for tensor in metadata.inputs], metadata)
    if metadata.inputs:
        return _tensor(metadata.inputs[0], values)
    return _tensor(TensorMetadata(f"{DEFAULT}0", _guessed(values), (-1,)), values)


def _missing(names: list[str], metadata: ModelMetadata) -> InvocationsError:
    return InvocationsError(
        f"Failed to predict data with model '{metadata.name}'. \nError: Failed to enforce schema of data. "
        f"Error: Model is missing inputs {names}.",
        INVALID,
    )


def _is_optional(tensor: TensorMetadata) -> bool:
    return tensor.optional or bool((tensor.parameters or {}).get("optional"))


def _guessed(values: list[Any]) -> str:
    """The datatype of ``values`` that nothing is known of."""
    try:
        kind = np.array(values).dtype.kind
    except ValueError:  # nested, and not all of one length
        kind = "O"
    return {"b": "BOOL", "i": "INT64", "u": "UINT64", "f": "FP64"}.get(kind, "BYTES")


def _tensor(tensor: TensorMetadata, values: Any) -> Tensor:
    array = _array(tensor, values)
    if array.ndim == 1 and len(tensor.shape) == 2:
        array = array.reshape(-1, 1)
    return Tensor(tensor.name, tensor.datatype, array.shape, array=array, text=tensor.datatype == "BYTES")


def _array(tensor: TensorMetadata, values: Any) -> np.ndarray[Any, Any]:
    if tensor.datatype == "BYTES":
        return _texts(tensor, values)
    dtype = DATATYPES["FP32" if tensor.datatype == "BF16" else tensor.datatype].dtype
    try:
        if dtype.kind == "b" and all(isinstance(value, str) for value in values):
            values = [_BOOLS[value.strip().lower()] for value in values]
        array = np.array(values, dtype=dtype)
        if dtype.kind in "iu" and not np.array_equal(array, np.array(values, dtype=np.float64)):
            raise ValueError("fractions would be lost")
    except (ValueError, TypeError, KeyError, OverflowError):
        raise InvocationsError(
            f"Failed to convert column {tensor.name} to type '{dtype.name}': its values are no such numbers"
        ) from None
    return bf16_from_float32(array) if tensor.datatype == "BF16" else array


def _texts(tensor: TensorMetadata, values: Any) -> np.ndarray[Any, Any]:
    """Texts as they are, everything else as JSON; for inputs that are JSON, all of it."""
    whole = (tensor.parameters or {}).get("content_type") == "pd_json"
    nested = not whole and any(isinstance(value, list) for value in values)
    if nested:
        rows = [_texts(tensor, value if isinstance(value, list) else [value]) for value in values]
        if len({row.shape for row in rows}) == 1:
            return np.stack(rows)
        raise InvocationsError(f"Failed to convert column {tensor.name} to an array: rows are of different lengths")
    array = np.empty(len(values), dtype=object)
    array[:] = [value.encode() if isinstance(value, str) and not whole else orjson.dumps(value) for value in values]
    return array


# -- answers as they are ---------------------------------------------------------------------------------------------


def packed_reply(status: int, media_type: str, text: str) -> bytes:
    """A reply as one element of text, so that those of several requests in one batch stay apart."""
    return b"%d %b\n%b" % (status, media_type.encode("ascii"), text.encode())


def unpacked_reply(response: InferResponse) -> tuple[int, bytes, bytes]:
    """Status, media type and body of the one reply in ``response``."""
    (element,) = response.outputs[0].array.ravel().tolist()
    head, _, body = bytes(element).partition(b"\n")
    status, _, media_type = head.partition(b" ")
    return int(status), media_type, body


# -- answers -----------------------------------------------------------------------------------------------------------


def write_invocations(response: InferResponse, invocation: Invocation) -> bytes:
    """``response`` as MLflow writes it. Raises InternalError for what JSON has no form for."""
    values = {tensor.name: _values(tensor) for tensor in response.outputs}
    predictions: Any = values
    if len(values) == 1 and not invocation.named:
        (predictions,) = values.values()
    elif invocation.rows and len({len(value) for value in values.values()}) == 1:
        predictions = [dict(zip(values, row, strict=True)) for row in zip(*map(list, values.values()), strict=True)]
    finite = all(tensor.array.dtype.kind != "f" or bool(np.isfinite(tensor.array).all()) for tensor in response.outputs)
    try:
        if finite:
            return orjson.dumps({"predictions": predictions}, option=orjson.OPT_SERIALIZE_NUMPY)
        return json.dumps({"predictions": predictions}, default=lambda value: value.tolist()).encode()
    except (TypeError, ValueError) as error:
        raise InternalError(
            f"the answer of model '{response.model_name}' cannot be written as JSON: {error}"
        ) from error


def _values(tensor: Tensor) -> Any:
    array = tensor.array
    if tensor.datatype == "BF16":
        return float32_from_bf16(array)
    if tensor.datatype != "BYTES":
        return np.ascontiguousarray(array)
    whole = (tensor.parameters or {}).get("content_type") == "pd_json"
    texts = np.empty(array.size, dtype=object)
    texts[:] = [orjson.loads(element) if whole else _text(element) for element in array.ravel().tolist()]
    return texts.reshape(array.shape).tolist()


def _text(element: Any) -> str:
    """Text; of bytes that are none their base64, as MLflow writes them."""
    if isinstance(element, str):
        return element
    try:
        return bytes(element).decode()
    except UnicodeDecodeError:
        return base64.encodebytes(element).decode("ascii")
