"""What callers of ``predict`` hand over, in every form MLflow knows, as the request they mean; knows no server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from ...protocol import RequestedOutput
from ...tensor import DATATYPES, Tensor, array_from_json, datatype_of, lookup_datatype
from .failures import as_mlflow, bad_body

_V2 = frozenset({"name", "datatype", "shape", "data"})
_FORMS = ("dataframe_split", "dataframe_records", "instances")


@dataclass(slots=True)
class Body:
    """The tensors of a request, and whether its answer is told as MLflow's ``predictions``."""

    inputs: list[Tensor]
    predictions: bool = False
    id: str = ""
    outputs: list[RequestedOutput] = field(default_factory=list)


def read_body(given: Any, metadata: Mapping[str, Any]) -> Body:
    """The request in ``given`` for a model with ``metadata``. Raises MlflowException saying what cannot be sent.

    It may be an array, a DataFrame, a dictionary of arrays or lists by the names of inputs, a V2 request, or
    ``{"inputs": ...}``, ``{"instances": ...}``, ``{"dataframe_split": ...}``, ``{"dataframe_records": ...}``; and any
    of these after ``pandas.read_json``, which is how the command line of MLflow reads files.
    """
    declared = {str(tensor["name"]): tensor for tensor in metadata.get("inputs", ())}
    name = str(metadata.get("name", ""))
    with as_mlflow():
        return _Reader(name, declared).read(_unframed(given) if isinstance(given, pd.DataFrame) else given)


def _unframed(frame: pd.DataFrame) -> Any:
    """The document that ``pandas.read_json`` made ``frame`` of; the frame itself where it is meant as one."""
    columns = list(frame.columns)
    first = columns[0] if columns else None
    if first == "inputs" and set(columns) <= {"inputs", "outputs", "id"}:
        cells = frame["inputs"]
        if not isinstance(cells.index, pd.RangeIndex):
            return {"inputs": dict(cells.items())}
        return {"inputs": cells.tolist(), **{key: frame[key].tolist() for key in columns[1:]}}
    if columns == ["outputs", "inputs"] or (
        set(columns) == {"id", "inputs"} or set(columns) == {"id", "inputs", "outputs"}
    ):
        return _unframed(frame[["inputs", *(key for key in columns if key != "inputs")]])
    if len(columns) == 1 and first in _FORMS:
        cells = frame[first]
        return {first: cells.tolist() if isinstance(cells.index, pd.RangeIndex) else dict(cells.items())}
    return frame


class _Reader:
    def __init__(self, model: str, declared: dict[str, Mapping[str, Any]]) -> None:
        self._model = model
        self._declared = declared

    def read(self, given: Any) -> Body:
        if isinstance(given, pd.DataFrame):
            return Body(self._table(given), predictions=True)
        if isinstance(given, Mapping):
            return self._document(given)
        if isinstance(given, np.ndarray | Sequence) and not isinstance(given, str | bytes):
            return Body([self._only(given)])
        raise bad_body(
            f"inputs of type {type(given).__name__} are not understood: expected an array, a DataFrame, or a dictionary"
        )

    def _document(self, given: Mapping[str, Any]) -> Body:
        for form in _FORMS:
            if form in given and form not in self._declared:
                return Body(self._mlflow_form(form, given[form]), predictions=True)
        inputs = given.get("inputs")
        if inputs is None or "inputs" in self._declared:
            return Body(self._named(given))
        if isinstance(inputs, Mapping):
            return Body(self._named(inputs))
        if _are_v2(inputs):
            return Body(
                [self._v2(tensor) for tensor in inputs],
                id=_first_text(given.get("id")),
                outputs=[RequestedOutput(str(each["name"])) for each in given.get("outputs") or () if "name" in each],
            )
        return Body(self._rows(inputs), predictions=True)

    def _mlflow_form(self, form: str, value: Any) -> list[Tensor]:
        try:
            if form == "dataframe_split":
                return self._table(pd.DataFrame(value["data"], columns=value.get("columns")))
            if form == "dataframe_records":
                return self._table(pd.DataFrame.from_records(list(value)))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise bad_body(f"'{form}' does not hold a table: {type(error).__name__}: {error}") from error
        return self._rows(value)

    def _rows(self, value: Any) -> list[Tensor]:
        """Rows: dictionaries are a table, anything else an array."""
        if isinstance(value, list) and value and all(isinstance(row, Mapping) for row in value):
            return self._table(pd.DataFrame.from_records(value))
        return [self._only(value)]

    def _table(self, frame: pd.DataFrame) -> list[Tensor]:
        """One tensor for each column, or all of them as one where the model takes one and calls it otherwise."""
        names = [str(column) for column in frame.columns]
        if len(self._declared) == 1 and not set(names) & set(self._declared):
            try:
                return [self._only(frame.to_numpy(dtype=None if frame.empty else np.result_type(*frame.dtypes)))]
            except TypeError:
                raise bad_body(
                    f"model '{self._model}' takes one input, {next(iter(self._declared))!r}, and the "
                    f"columns {names} are not all numbers"
                ) from None
        known = [name for name in names if name in self._declared] or names
        return [self._column(name, frame.iloc[:, names.index(name)]) for name in known]

    def _column(self, name: str, column: pd.Series) -> Tensor:
        shape = self._declared.get(name, {}).get("shape", [-1])
        values = column.to_numpy()
        if len(values) and isinstance(values[0], list | np.ndarray):
            return self._tensor(name, column.tolist())
        return self._tensor(name, values.reshape(-1, 1) if len(shape) == 2 and shape[1] in (1, -1) else values)

    def _named(self, given: Mapping[str, Any]) -> list[Tensor]:
        if not given:
            raise bad_body(f"model '{self._model}' was given no inputs, expected {list(self._declared)}")
        if self._declared and (unknown := [name for name in given if str(name) not in self._declared]):
            raise bad_body(
                f"unexpected inference input '{unknown[0]}' for model '{self._model}', expected {list(self._declared)}"
            )
        return [self._tensor(str(name), value) for name, value in given.items()]

    def _only(self, value: Any) -> Tensor:
        if len(self._declared) != 1:
            raise bad_body(
                f"model '{self._model}' takes the inputs {list(self._declared)}: say which one an array is for, as "
                '{"inputs": {name: [...]}}'
            )
        return self._tensor(next(iter(self._declared)), value)

    def _v2(self, told: Mapping[str, Any]) -> Tensor:
        name = str(told["name"])
        datatype = lookup_datatype(told["datatype"], name)
        shape = tuple(told["shape"])
        data = told["data"]
        if isinstance(data, np.ndarray):
            data = data.tolist()
        parameters = told.get("parameters") or None
        return Tensor.from_array(name, array_from_json(data, datatype, shape, name), datatype.name, parameters)

    def _tensor(self, name: str, value: Any) -> Tensor:
        """``value`` in the datatype that the model says it takes; its own where the model does not say."""
        told = self._declared.get(name, {}).get("datatype")
        if isinstance(value, np.ndarray) and value.dtype != object and (told is None or value.dtype.kind != "U"):
            return self._from_array(name, value, told)
        plain = value.tolist() if isinstance(value, np.ndarray) else _plain(value)
        array = np.array(plain, dtype=object) if told == "BYTES" else _regular(name, plain)
        if told is None:
            told = datatype_of(array).name
        return Tensor.from_array(name, array_from_json(plain, lookup_datatype(told, name), array.shape, name), told)

    def _from_array(self, name: str, array: np.ndarray[Any, Any], told: str | None) -> Tensor:
        if told is None or told == "BF16" or DATATYPES[told].dtype == array.dtype:
            return Tensor.from_array(name, np.ascontiguousarray(array), told)
        if not np.can_cast(array.dtype, DATATYPES[told].dtype, "same_kind"):
            raise bad_body(
                f"inference input '{name}' data-type is {array.dtype}, but model '{self._model}' expects {told}"
            )
        return Tensor.from_array(name, np.ascontiguousarray(array.astype(DATATYPES[told].dtype)), told)


def _are_v2(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(each, Mapping) and each.keys() >= _V2 for each in value)
    )


def _first_text(value: Any) -> str:
    """The id: from the command line it comes once for each input."""
    first = value[0] if isinstance(value, list) and value else value
    return "" if first is None else str(first)


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value


def _regular(name: str, plain: Any) -> np.ndarray[Any, Any]:
    try:
        return np.array(plain)
    except ValueError:
        raise bad_body(f"the nested lists of input '{name}' do not form a regular tensor") from None
