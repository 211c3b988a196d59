"""The columns of the tables a pipeline takes, as far as it tells; imports no framework."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from oipserver.types import MetadataTensor, Parameters

Column = tuple[str, Any]  # its name, and a value it may hold


def columns_of(estimator: Any) -> list[Column]:
    """The columns of a pipeline whose first step takes a table apart by the names of its columns.

    None for other estimators, which take arrays as well, and where a column's kind cannot be told.
    """
    names = [str(name) for name in getattr(estimator, "feature_names_in_", ())]
    first = _first_step(estimator)
    if not names or not hasattr(first, "transformers_"):
        return []
    known = dict(_examples(first))
    return [(name, known[name]) for name in names] if known.keys() >= set(names) else []


def _first_step(estimator: Any) -> Any:
    best = getattr(estimator, "best_estimator_", estimator)  # what a search found
    steps = getattr(best, "steps", None)
    return steps[0][-1] if isinstance(steps, list) and steps else best


def _examples(transformer: Any) -> Iterator[Column]:
    """Each column of a fitted ColumnTransformer, with a value of it."""
    for _, step, columns in transformer.transformers_:
        if not isinstance(columns, list) or not all(isinstance(column, str) for column in columns):
            continue
        categories = None if isinstance(step, str) else getattr(_first_step(step), "categories_", None)
        for position, column in enumerate(columns):
            yield column, 0.0 if categories is None else categories[position][0]


def describe(columns: list[Column]) -> tuple[MetadataTensor, ...]:
    """One input for each column: text as ``str``, everything else as numbers."""
    return tuple(
        MetadataTensor(name=name, datatype="BYTES", shape=[-1, 1], parameters=Parameters(content_type="str"))
        if isinstance(example, str)
        else MetadataTensor(name=name, datatype="FP64", shape=[-1, 1])
        for name, example in columns
    )


def example_of(columns: list[Column]) -> Any:
    """A table of one row with ``columns``; None where there are none, or pandas is not installed."""
    if not columns:
        return None
    try:
        import pandas as pd
    except ImportError:
        return None
    return pd.DataFrame({name: [example] for name, example in columns})
