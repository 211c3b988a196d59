"""Content type ``pd``: a DataFrame, one input or output per column; pandas is imported only when one is made."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from ..types import (
    InferenceRequest,
    InferenceResponse,
    Parameters,
    RequestInput,
    ResponseOutput,
    TensorData,
)
from .base import RequestCodec, register_request_codec
from .base64 import Base64Codec
from .datetime import DatetimeCodec
from .errors import CodecError
from .json import decode_json_input_or_output, encode_to_json
from .numpy import NumpyCodec, to_datatype, to_dtype
from .string import StringCodec, encode_str
from .utils import InputOrOutput, elements_of, get_decoded, has_decoded

if TYPE_CHECKING:
    import pandas as pd

_NUMBERS = "biuf"
_BY_CONTENT_TYPE = {codec.ContentType: codec for codec in (StringCodec, Base64Codec, DatetimeCodec, NumpyCodec)}


class _DataFrameHint:
    """The class DataFrame where something has imported pandas, else None: nobody can have annotated with it then."""

    def __get__(self, instance: object, owner: type) -> Any:
        return getattr(sys.modules.get("pandas"), "DataFrame", None)


@register_request_codec
class PandasCodec(RequestCodec):
    """A DataFrame as one tensor per column.

    Numbers and booleans keep their type; nullable integers with gaps become FP64 with NaN. Text is content type
    ``str``, instants are ``datetime``, categories what they stand for; columns of anything else, and text with gaps,
    are ``pd_json``: one JSON text per cell.
    """

    ContentType = "pd"
    JsonContentType = "pd_json"
    TypeHint = _DataFrameHint()

    @classmethod
    def can_encode(cls, payload: Any) -> bool:
        frame = cls.TypeHint
        return frame is not None and isinstance(payload, frame)

    @classmethod
    def encode_outputs(cls, payload: pd.DataFrame, use_bytes: bool = True) -> list[ResponseOutput]:
        """One output per column. Raises CodecError naming a column that has no form as a tensor."""
        return [
            _to_response_output(payload.iloc[:, position], use_bytes=use_bytes) for position in range(payload.shape[1])
        ]

    @classmethod
    def encode_response(
        cls,
        model_name: str,
        payload: pd.DataFrame,
        model_version: str | None = None,
        use_bytes: bool = True,
        **kwargs: Any,
    ) -> InferenceResponse:
        return InferenceResponse(
            model_name=model_name,
            model_version=model_version,
            parameters=Parameters(content_type=cls.ContentType),
            outputs=cls.encode_outputs(payload, use_bytes=use_bytes),
        )

    @classmethod
    def decode_response(cls, response: InferenceResponse) -> pd.DataFrame:
        return _to_frame(response.outputs)

    @classmethod
    def encode_request(cls, payload: pd.DataFrame, use_bytes: bool = True, **kwargs: Any) -> InferenceRequest:
        return InferenceRequest(
            parameters=Parameters(content_type=cls.ContentType),
            inputs=[
                RequestInput(**{name: getattr(output, name) for name in output.model_fields_set})
                for output in cls.encode_outputs(payload, use_bytes=use_bytes)
            ],
        )

    @classmethod
    def decode_request(cls, request: InferenceRequest) -> pd.DataFrame:
        return _to_frame(request.inputs)


def _to_frame(tensors: list[RequestInput] | list[ResponseOutput]) -> pd.DataFrame:
    import pandas as pd

    columns = {tensor.name: _to_series(tensor) for tensor in tensors}
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        rows = ", ".join(f"'{name}' has {length}" for name, length in lengths.items())
        raise CodecError(f"the columns of a table have the same number of rows: {rows}")
    return pd.DataFrame(columns)


def _to_series(input_or_output: InputOrOutput) -> pd.Series:
    """A column: decoded as its content type says, or as it was decoded already, else as its datatype says."""
    import pandas as pd

    content_type = input_or_output.parameters.content_type if input_or_output.parameters else None
    payload: Any
    if content_type == PandasCodec.JsonContentType:
        payload = decode_json_input_or_output(input_or_output)
    elif has_decoded(input_or_output):
        payload = _as_declared(get_decoded(input_or_output), input_or_output)
    elif content_type in _BY_CONTENT_TYPE:
        payload = _BY_CONTENT_TYPE[content_type].decode_input(input_or_output)  # type: ignore[arg-type]  # as outputs
    elif str(input_or_output.datatype) == "BYTES":
        elements = elements_of(input_or_output)
        payload = elements if isinstance(elements, list) else [elements]
    else:
        payload = NumpyCodec.decode_input(input_or_output)  # type: ignore[arg-type]  # outputs decode alike
    if isinstance(payload, np.ndarray) and payload.ndim != 1:
        rows = payload.shape[0] if payload.ndim else 1
        payload = payload.reshape(rows) if payload.size == rows else list(payload)
    if isinstance(payload, list) and payload and content_type == DatetimeCodec.ContentType:
        return pd.Series(pd.to_datetime(payload))
    return pd.Series(payload)


def _as_declared(decoded: Any, input_or_output: InputOrOutput) -> Any:
    """A decoded array of numbers in the datatype of its input, where nothing but range and precision could be lost."""
    dtype = to_dtype(input_or_output)
    same_kind = isinstance(decoded, np.ndarray) and np.can_cast(decoded.dtype, dtype, "same_kind")
    return decoded.astype(dtype, copy=False) if same_kind and dtype.kind in _NUMBERS else decoded


def _to_response_output(series: pd.Series, use_bytes: bool = True) -> ResponseOutput:
    """A column as an output of shape [rows, 1]."""
    name = str(series.name)
    fields: dict[str, Any] = {"name": name, "shape": [len(series), 1]}
    numbers = _numbers(series)
    if numbers is not None:
        datatype = to_datatype(numbers.dtype)
        return ResponseOutput(**fields, datatype=datatype, data=TensorData(numbers.reshape(-1, 1)))
    texts, content_type = _texts(series, name)
    data = [encode_str(text) if use_bytes and isinstance(text, str) else text for text in texts]
    parameters = Parameters(content_type=content_type)
    return ResponseOutput(**fields, datatype="BYTES", data=TensorData(data), parameters=parameters)


def _numbers(series: pd.Series) -> Any:
    """The column as an array of numbers or booleans; None where it is something else."""
    dtype: Any = series.dtype
    if getattr(dtype, "categories", None) is not None:
        series = series.astype(dtype.categories.dtype)
        dtype = series.dtype
    if getattr(dtype, "kind", "O") not in _NUMBERS:
        return None
    if isinstance(dtype, np.dtype):
        return series.to_numpy()
    if not series.isna().any():  # a nullable column without gaps
        return series.to_numpy(dtype=np.dtype(getattr(dtype, "numpy_dtype", dtype.kind)))
    return None if dtype.kind == "b" else series.to_numpy(dtype=np.float64, na_value=np.nan)


def _texts(series: pd.Series, name: str) -> tuple[list[Any], str]:
    """The column's cells as text or bytes, and their content type."""
    kind = getattr(series.dtype, "kind", "O")
    if kind == "M":
        gaps = series.isna().tolist()
        instants = series.tolist()
        return [
            "NaT" if gap else instant.isoformat() for instant, gap in zip(instants, gaps, strict=True)
        ], DatetimeCodec.ContentType
    if kind in "mc":
        raise CodecError(f"column '{name}' has dtype {series.dtype}, which has no form as a tensor")
    cells = series.tolist()
    if all(isinstance(cell, (str, bytes)) for cell in cells):
        return cells, StringCodec.ContentType
    if cells and all(isinstance(cell, datetime) for cell in cells):
        return [cell.isoformat() for cell in cells], DatetimeCodec.ContentType
    return [_json_cell(cell, name) for cell in cells], PandasCodec.JsonContentType


def _json_cell(cell: Any, name: str) -> str:
    """One cell as JSON; a missing value (None, NaN, NA) is null."""
    import pandas as pd

    if pd.api.types.is_scalar(cell) and pd.isna(cell):
        return "null"
    try:
        return str(encode_to_json(cell, use_bytes=False))
    except (TypeError, ValueError) as error:
        raise CodecError(f"column '{name}' holds a {type(cell).__name__} that has no form in JSON") from error
