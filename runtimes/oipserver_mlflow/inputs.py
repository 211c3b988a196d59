"""V2 tensors as what an MLflow model takes: a table, an array, arrays by name or a list; knows no model."""

from __future__ import annotations

import base64
import binascii
import json
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from oipserver import Tensor
from oipserver.errors import InvalidArgumentError
from oipserver.protocol.invocations_form import TABLE
from oipserver.repository.mlmodel import MLmodel
from oipserver.tensor import DATATYPES

from .schema import Field

Array = np.ndarray[Any, Any]


class Inputs:
    """Turns the tensors of a request into one value, as a model's signature wants it.

    Of a signature with columns a table with these, of named tensors a dictionary, of one tensor without a name an
    array, of a type hint a list. Without a signature one tensor is an array and several are columns; the content type
    of a request (``pd``, ``np``, ``dict``) says otherwise.
    """

    def __init__(self, described: MLmodel, fields: Sequence[Field], model: str) -> None:
        self._model = model
        self._fields = {field.name: field for field in fields}
        self._tensors = described.takes_tensors
        self._list = described.from_type_hint
        datatypes = {field.datatype for field in fields}
        self._common = datatypes.pop() if len(datatypes) == 1 else ""
        self._alone = len(fields) == 1 and not fields[0].named

    def value(self, tensors: Sequence[Tensor], parameters: Mapping[str, Any]) -> Any:
        """The value for the model. Raises InvalidArgumentError naming the model, the input, what was expected and what
        came."""
        if not tensors:
            raise InvalidArgumentError(f"expected inputs but got none for model '{self._model}'")
        if not self._fields:
            return self._free(tensors, parameters.get("content_type"))
        if self._list:
            return self._elements(tensors)
        if not self._tensors:
            return self._table(tensors)
        if self._alone:
            return self._only(tensors)
        return {name: self._fitted(tensor, self._fields[name]) for name, tensor in self._present(tensors).items()}

    def matrix(self, tensors: Sequence[Tensor]) -> Array | None:
        """The columns of a signature that has nothing but numbers side by side, and all of them; None otherwise."""
        if len(tensors) == 1 and tensors[0].name == TABLE and tensors[0].datatype == self._common:
            array = tensors[0].array
            if array.ndim == 2 and array.shape[1] == len(self._fields):
                return array if array.flags.writeable and array.flags.aligned else array.copy()
        table = self._columns(tensors)
        if len(table) != len(self._fields) or any(column.dtype.kind not in "biuf" for column in table.values()):
            return None
        return np.stack(list(table.values()), axis=1)

    # -- forms ---------------------------------------------------------------------------------------------------------

    def _free(self, tensors: Sequence[Tensor], content_type: Any) -> Any:
        if content_type == "dict":
            return {tensor.name: _plain(tensor) for tensor in tensors}
        flat = all(_is_column(tensor.shape) for tensor in tensors)
        if content_type == "pd" or (content_type != "np" and len(tensors) > 1 and flat):
            return self._frame({tensor.name: self._column(tensor, None) for tensor in tensors})
        return _plain(tensors[0]) if len(tensors) == 1 else {tensor.name: _plain(tensor) for tensor in tensors}

    def _elements(self, tensors: Sequence[Tensor]) -> list[Any]:
        if self._alone and len(tensors) == 1:
            (field,) = self._fields.values()
            return list(self._column(tensors[0], field).tolist())
        columns = self._columns(tensors)
        return [dict(zip(columns, row, strict=True)) for row in zip(*map(list, columns.values()), strict=True)]

    def _only(self, tensors: Sequence[Tensor]) -> Array:
        (field,) = self._fields.values()
        if len(tensors) == 1:
            return self._fitted(tensors[0], field)
        columns = [self._column(tensor, None) for tensor in tensors]  # a table for a model that takes one tensor
        self._same_length({tensor.name: column for tensor, column in zip(tensors, columns, strict=True)})
        array = np.stack(columns, axis=1)
        return self._fitted(Tensor.from_array(field.name, array), field)

    def _table(self, tensors: Sequence[Tensor]) -> Any:
        return self._frame(self._columns(tensors))

    def _frame(self, columns: Mapping[str, Array]) -> Any:
        import pandas as pd

        self._same_length(columns)
        frame = pd.DataFrame(dict(columns))
        if self._fields and not any(field.named for field in self._fields.values()):
            frame.columns = pd.RangeIndex(len(columns))
        return frame

    def _columns(self, tensors: Sequence[Tensor]) -> dict[str, Array]:
        """Each column of the signature that came. One tensor with as many columns as the signature has is all."""
        first, width = tensors[0], len(self._fields)
        if len(tensors) == 1 and first.name not in self._fields and first.shape[1:] == (width,):
            return {
                name: self._column(Tensor.from_array(name, part, first.datatype, first.parameters), field)
                for (name, field), part in zip(self._fields.items(), first.array.T, strict=True)
            }
        if self._alone and len(tensors) == 1:
            (field,) = self._fields.values()
            return {field.name: self._column(first, field)}
        columns = {name: self._column(tensor, self._fields[name]) for name, tensor in self._present(tensors).items()}
        self._same_length(columns)
        return columns

    def _present(self, tensors: Sequence[Tensor]) -> dict[str, Tensor]:
        """The tensors that the signature knows, in its order; others are nobody's business."""
        came = {tensor.name: tensor for tensor in tensors}
        missing = [name for name, field in self._fields.items() if field.required and name not in came]
        if missing:
            secret = os.environ.get("MLFLOW_DISABLE_SCHEMA_DETAILS", "").lower() in ("true", "1")
            told = "some of its inputs" if secret else f"inputs {missing}"
            raise InvalidArgumentError(f"failed to enforce schema of model '{self._model}': Model is missing {told}.")
        return {name: came[name] for name in self._fields if name in came}

    def _same_length(self, columns: Mapping[str, Array]) -> None:
        lengths = {name: len(column) for name, column in columns.items()}
        if len(set(lengths.values())) > 1:
            raise InvalidArgumentError(f"columns of model '{self._model}' must be of one length, got {lengths}")

    # -- one tensor ----------------------------------------------------------------------------------------------------

    def _column(self, tensor: Tensor, field: Field | None) -> Array:
        if not _is_column(tensor.shape):
            raise InvalidArgumentError(
                f"unexpected shape for input '{tensor.name}' for model '{self._model}'. "
                f"Expected [-1], got {list(tensor.shape)}"
            )
        if tensor.datatype == "BYTES" or (field is not None and field.datatype == "BYTES"):
            told = (tensor.parameters or {}).get("content_type") or (field.content_type if field else None)
            return self._texts(tensor, field, str(told or "str"))
        return (tensor.array if field is None else self._cast(tensor, field)).reshape(-1)

    def _texts(self, tensor: Tensor, field: Field | None, content_type: str) -> Array:
        if tensor.datatype != "BYTES" or (field is not None and field.datatype != "BYTES"):
            raise self._wrong_datatype(tensor, field)
        read: Callable[[Any], Any] = _READERS.get(content_type, _text)
        values = tensor.array.reshape(-1).tolist()
        try:
            # Over a binary wire bytes are bytes; in JSON there is no way to write them but base64.
            as_is = content_type == "base64" and not tensor.text
            decoded = values if as_is else [read(value) for value in values]
        except (ValueError, binascii.Error) as error:
            raise InvalidArgumentError(
                f"input '{tensor.name}' for model '{self._model}' holds an element that is no {content_type}: {error}"
            ) from None
        if content_type == "datetime":
            return np.array(decoded, dtype="datetime64[ns]")
        array = np.empty(len(decoded), dtype=object)
        array[:] = decoded
        return array

    def _fitted(self, tensor: Tensor, field: Field) -> Array:
        """``tensor`` as the signature wants it: MLflow takes no other datatype, but nothing is lost by a wider one."""
        if len(tensor.shape) != len(field.shape) or any(
            expected not in (-1, got) for expected, got in zip(field.shape, tensor.shape, strict=False)
        ):
            raise InvalidArgumentError(
                f"unexpected shape for input '{tensor.name}' for model '{self._model}'. "
                f"Expected {list(field.shape)}, got {list(tensor.shape)}"
            )
        if field.datatype == "BYTES":
            return self._texts(tensor, field, "str").reshape(tensor.shape)
        return self._cast(tensor, field)

    def _cast(self, tensor: Tensor, field: Field) -> Array:
        target = DATATYPES[field.datatype].dtype
        if tensor.datatype in ("BYTES", "BF16") or not np.can_cast(tensor.array.dtype, target, "safe"):
            raise self._wrong_datatype(tensor, field)
        array = tensor.array.astype(target, copy=False)
        # A view into a request's body is read-only and can start at any byte; models may insist on neither.
        return array if array.flags.writeable and array.flags.aligned else array.copy()

    def _wrong_datatype(self, tensor: Tensor, field: Field | None) -> InvalidArgumentError:
        expected = field.datatype if field else "BYTES"
        return InvalidArgumentError(
            f"inference input '{tensor.name}' data-type is '{tensor.datatype}', "
            f"but model '{self._model}' expects '{expected}'"
        )


def _is_column(shape: tuple[int, ...]) -> bool:
    return len(shape) == 1 or (len(shape) == 2 and shape[1] == 1)


def _plain(tensor: Tensor) -> Array:
    """A tensor of which no signature tells anything: text is text."""
    if tensor.datatype != "BYTES":
        return tensor.array.copy()
    texts = np.empty(tensor.array.size, dtype=object)
    texts[:] = [_text(value) for value in tensor.array.ravel().tolist()]
    return texts.reshape(tensor.shape)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _binary(value: Any) -> bytes:
    return base64.b64decode(value, validate=True)


def _instant(value: Any) -> np.datetime64:
    return np.datetime64(_text(value).removesuffix("Z").replace("+00:00", ""), "ns")


_READERS: dict[str, Callable[[Any], Any]] = {
    "str": _text,
    "base64": _binary,
    "datetime": _instant,
    "pd_json": json.loads,
}
