"""Tables in the forms of MLflow's scoring protocol as columns of plain values; knows no model and no tensor."""

from __future__ import annotations

import csv
import io
from typing import Any

from ..errors import InvalidArgumentError
from ..tensor.tensor import Buffer

BAD_REQUEST, INVALID = "BAD_REQUEST", "INVALID_PARAMETER_VALUE"
#: And a number: what inputs are called that a signature does not name.
DEFAULT = "input-"

#: Columns by name, of one length.
Table = dict[str, Any]


class InvocationsError(InvalidArgumentError):
    """A body that cannot be read, with MLflow's code for that."""

    def __init__(self, message: str, error_code: str = BAD_REQUEST) -> None:
        super().__init__(message)
        self.error_code = error_code


def split_table(data: Any) -> Table:
    """The table in ``dataframe_split``. Raises InvocationsError."""
    if not isinstance(data, dict):
        raise InvocationsError(f"Dataframe split format must be a dictionary. Got {type(data).__name__}.")
    rows, names = data.get("data"), data.get("columns")
    if not isinstance(rows, list) or data.keys() - {"columns", "data", "index"}:
        raise InvocationsError(
            "Dataframe split format must have 'data' field and optionally 'columns' and 'index' fields. "
            f"Got {list(data)}."
        )
    rows = [row if isinstance(row, list) else [row] for row in rows]
    if not isinstance(names, list | None):
        raise InvocationsError(f"Dataframe split format must have a list as 'columns'. Got {type(names).__name__}.")
    width = len(rows[0]) if rows else len(names or ())
    names = [f"{DEFAULT}{index}" for index in range(width)] if names is None else names
    if any(len(row) != len(names) for row in rows):
        raise InvocationsError(
            "Provided dataframe_split field is not a valid dataframe representation in 'split' format: "
            f"every row must have as many values as there are columns, {len(names)}"
        )
    return {str(name): [row[index] for row in rows] for index, name in enumerate(names)}


def records_table(rows: list[dict[str, Any]]) -> Table:
    """The table of ``rows``; what one of them lacks is None."""
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}


def csv_table(body: Buffer) -> Table:
    """The table in CSV with a line of names; empty cells are None. Raises InvocationsError."""
    try:
        lines = list(csv.reader(io.StringIO(bytes(body).decode("utf-8-sig"), newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InvocationsError(f"Ensure that input is a valid UTF-8 encoded CSV. Error: {error}") from None
    names, *rows = [line for line in lines if line] or [[]]
    if not names or any(len(row) != len(names) for row in rows):
        raise InvocationsError(
            "Failed to parse input as a Pandas DataFrame. Ensure that the input is a valid CSV-formatted Pandas "
            "DataFrame produced using the `pandas.DataFrame.to_csv()` method: every line must have as many values as "
            f"the first, {len(names)}"
        )
    return {name: [row[index] or None for row in rows] for index, name in enumerate(names)}


def parquet_table(body: Buffer) -> Table:
    """The table in Parquet, which pandas reads. Raises InvocationsError."""
    try:
        import pandas as pd

        frame = pd.read_parquet(io.BytesIO(bytes(body)))
    except ImportError as error:
        raise InvocationsError(f"this server cannot read Parquet: {error}") from None
    except Exception as error:
        raise InvocationsError(
            "Failed to parse input as a Pandas DataFrame. Ensure that the input is a valid Parquet Pandas DataFrame "
            f"produced using the `pandas.DataFrame.to_parquet()` method. Error: {error}"
        ) from None
    return {str(name): frame[name].tolist() for name in frame.columns}
