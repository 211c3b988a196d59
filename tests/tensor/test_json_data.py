"""Numbers in JSON that numpy, left alone, would make something else of."""

from __future__ import annotations

import pytest

from oipserver.errors import InvalidArgumentError
from oipserver.tensor.datatype import DATATYPES
from oipserver.tensor.json_data import array_from_json


@pytest.mark.parametrize("data", [[0, 2**64 - 1], [[0, 2**64 - 1]], [2**63, 1]])
def test_integers_on_both_sides_of_what_int64_holds(data: list[object]) -> None:
    shape = (1, 2) if isinstance(data[0], list) else (2,)
    array = array_from_json(data, DATATYPES["UINT64"], shape, "x")
    flat = data[0] if isinstance(data[0], list) else data
    assert array.ravel().tolist() == flat


def test_what_is_out_of_range_is_said() -> None:
    with pytest.raises(InvalidArgumentError, match="out of range for INT64"):
        array_from_json([[-1, 2**64 - 1]], DATATYPES["INT64"], (1, 2), "x")
