"""The one tensor: every datatype, array and raw form, and what is refused."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import Any

import ml_dtypes
import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from oipserver.errors import InvalidArgumentError
from oipserver.tensor import (
    DATATYPES,
    Tensor,
    array_from_json,
    array_to_json,
    datatype_of,
    element_count,
    lookup_datatype,
    pack_bytes,
    packed_size,
    unpack_bytes,
)
from oipserver.tensor.json_data import bf16_from_float32, float32_from_bf16
from oipserver.tensor.packing import check_packed

FIXED = [name for name in DATATYPES if name not in ("BYTES", "BF16")]
SHAPES = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)


@st.composite
def arrays(draw: st.DrawFn) -> tuple[str, np.ndarray[Any, Any]]:
    name = draw(st.sampled_from(FIXED))
    return name, draw(hnp.arrays(DATATYPES[name].dtype, SHAPES))


def bytes_array(shape: tuple[int, ...]) -> st.SearchStrategy[np.ndarray[Any, Any]]:
    count = math.prod(shape)

    def fill(values: list[bytes]) -> np.ndarray[Any, Any]:
        array = np.empty(count, dtype=object)
        array[:] = values
        return array.reshape(shape)

    return st.lists(st.binary(max_size=20), min_size=count, max_size=count).map(fill)


@given(arrays())
def test_array_to_raw_and_back(case: tuple[str, np.ndarray[Any, Any]]) -> None:
    name, array = case
    tensor = Tensor.from_array("x", array)
    assert tensor.datatype == name
    raw = tensor.raw
    back = Tensor.from_raw("x", DATATYPES[name], array.shape, bytes(raw))
    assert back.array.tobytes() == array.tobytes()
    assert back.array.shape == array.shape
    assert back.nbytes == array.nbytes


@given(arrays())
def test_what_is_not_contiguous_or_little_endian_is_sent_right(case: tuple[str, np.ndarray[Any, Any]]) -> None:
    name, array = case
    turned = array.T.astype(array.dtype.newbyteorder(">"))
    assert bytes(Tensor.from_array("x", turned, name).raw) == np.ascontiguousarray(array.T).tobytes()


def test_raw_views_the_array_and_copies_nothing() -> None:
    array = np.arange(6, dtype=np.float32)
    raw = Tensor.from_array("x", array).raw
    array[0] = 7
    assert np.frombuffer(raw, np.float32)[0] == 7


@given(SHAPES.flatmap(bytes_array))
def test_bytes_are_packed_and_unpacked(array: np.ndarray[Any, Any]) -> None:
    packed = pack_bytes(array)
    assert len(packed) == packed_size(array)
    tensor = Tensor.from_raw("x", DATATYPES["BYTES"], array.shape, packed)
    assert tensor.array.tolist() == array.tolist()
    assert Tensor.from_array("x", array).raw == packed


@given(st.binary(max_size=60), st.integers(0, 8))
def test_unpacking_anything_is_right_or_refused(buffer: bytes, count: int) -> None:
    with suppress(InvalidArgumentError):
        assert pack_bytes(unpack_bytes(buffer, count, "x")) == buffer


@given(st.binary(max_size=40), st.integers(0, 6))
def test_packed_text_is_right_where_it_can_be_unpacked(buffer: bytes, count: int) -> None:
    def problem(of: Any) -> str:
        try:
            of(buffer, count, "x")
        except InvalidArgumentError as error:
            return error.message
        return ""

    assert problem(check_packed) == problem(unpack_bytes)


@pytest.mark.parametrize(
    ("buffer", "count", "words"),
    [
        (b"\x05\x00\x00\x00ab", 1, "expecting string of length 5 but only 2 bytes"),
        (b"\x01\x00\x00\x00a\x00", 1, "1 bytes are left over"),
        (b"\x01\x00\x00\x00a", 2, "expected 2 string elements"),
        (b"\xff\xff\xff\xff", 1, "expecting string of length 4294967295"),
        (b"", 10**9, "too few to hold them"),
    ],
)
def test_lengths_that_lie(buffer: bytes, count: int, words: str) -> None:
    with pytest.raises(InvalidArgumentError, match=words):
        unpack_bytes(buffer, count, "x")


@pytest.mark.parametrize("size", [0, 7, 9, 100])
def test_raw_of_another_size_is_refused(size: int) -> None:
    with pytest.raises(InvalidArgumentError, match=f"Expected 8, got {size}"):
        Tensor.from_raw("x", DATATYPES["FP32"], (2,), bytes(size))


@pytest.mark.parametrize("shape", [(-1,), (2, -3), (1,) * 65, (2**40, 2**40), (0, 2**62), (2**59,)])
def test_shapes_nobody_can_hold_are_refused_before_anything_is_allocated(shape: tuple[int, ...]) -> None:
    with pytest.raises(InvalidArgumentError, match="'x'"):
        element_count(shape, "x")


def test_datatypes_by_name_and_dtype() -> None:
    for name in FIXED:
        assert datatype_of(np.zeros(1, DATATYPES[name].dtype)).name == name
        assert lookup_datatype(name, "x") is DATATYPES[name]
    assert datatype_of(np.array(["é"])).name == "BYTES"
    for odd in ("FP31", None, 3, ["FP32"]):
        with pytest.raises(InvalidArgumentError, match="expected one of BOOL"):
            lookup_datatype(odd, "x")
    for array in (np.zeros(1, complex), np.zeros(1, "M8[s]")):
        with pytest.raises(InvalidArgumentError, match="no datatype"):
            datatype_of(array)


# -- JSON ------------------------------------------------------------------------------------------------------------


@given(arrays())
def test_json_and_back(case: tuple[str, np.ndarray[Any, Any]]) -> None:
    name, array = case
    tensor = Tensor.from_array("x", array)
    text = orjson.dumps(array_to_json(tensor), option=orjson.OPT_SERIALIZE_NUMPY)
    back = array_from_json(orjson.loads(text), DATATYPES[name], array.shape, "x")
    if array.dtype.kind == "f":
        expected = np.where(np.isfinite(array), array, np.nan)  # without the literals, null stands for all three
        np.testing.assert_array_equal(back, expected)
    else:
        np.testing.assert_array_equal(back, array)
    assert back.dtype == array.dtype
    nested = array_from_json(array.tolist(), DATATYPES[name], array.shape, "x")
    np.testing.assert_array_equal(nested, array)


@given(hnp.arrays(np.float32, hnp.array_shapes(max_dims=2)))
def test_bf16_rounds_as_everybody_does(array: np.ndarray[Any, Any]) -> None:
    ours = bf16_from_float32(array)
    with np.errstate(all="ignore"):
        theirs = array.astype(ml_dtypes.bfloat16)
    numbers = ~np.isnan(array)
    np.testing.assert_array_equal(ours[numbers], theirs.view(np.uint16)[numbers])
    assert np.isnan(float32_from_bf16(ours)[~numbers]).all()
    np.testing.assert_array_equal(float32_from_bf16(ours)[numbers], theirs.astype(np.float32)[numbers])


def test_literals_are_written_where_orjson_writes_null() -> None:
    tensor = Tensor.from_array("x", np.array([1.5, np.nan, np.inf, -np.inf], np.float32))
    assert orjson.dumps(array_to_json(tensor, literals=True)) == b"[1.5,NaN,Infinity,-Infinity]"


@pytest.mark.parametrize(
    ("datatype", "data", "shape", "expected"),
    [
        ("FP32", 3.5, (1,), [3.5]),
        ("FP32", [1, 2.5], (2,), [1.0, 2.5]),
        ("FP32", [1, 2], (2, 1), [[1.0], [2.0]]),
        ("FP64", [None, 1], (2,), [math.nan, 1.0]),
        ("FP16", [1e9, -1e9], (2,), [math.inf, -math.inf]),
        ("INT64", [2**63 - 1, -(2**63)], (2,), [2**63 - 1, -(2**63)]),
        ("UINT64", [2**64 - 1], (1,), [2**64 - 1]),
        ("INT32", [2.0, -3.0], (2,), [2, -3]),
        ("UINT8", [[255.0], [1]], (2, 1), [[255], [1]]),
        ("BOOL", [True, [False]][0:1], (1,), [True]),
        ("BOOL", [1, 0], (2,), [True, False]),
        ("BOOL", [0, True], (2,), [False, True]),
        ("BYTES", "one", (1,), [b"one"]),
        ("BYTES", [["é"], [""]], (2, 1), [["é".encode()], [b""]]),
        ("INT8", [], (0, 3), []),
        ("BF16", [1.0, 2.0], (2,), [0x3F80, 0x4000]),
    ],
)
def test_json_data_that_is_accepted(datatype: str, data: object, shape: tuple[int, ...], expected: object) -> None:
    array = array_from_json(data, DATATYPES[datatype], shape, "x")
    assert array.shape == shape
    np.testing.assert_array_equal(array, np.array(expected, dtype=array.dtype).reshape(shape))


@pytest.mark.parametrize(
    ("datatype", "data", "shape", "words"),
    [
        ("INT32", [1.5], (1,), "INT32 takes integers, got a number that is no integer"),
        ("INT32", [True], (1,), "INT32 takes integers, got a boolean"),
        ("INT32", ["1"], (1,), "INT32 takes integers, got a string"),
        ("INT32", [None], (1,), "INT32 takes integers, got null"),
        ("INT32", [2**31], (1,), "2147483648 is out of range for INT32"),
        ("UINT8", [-1], (1,), "-1 is out of range for UINT8"),
        ("UINT64", [2**64], (1,), "out of range for UINT64"),
        ("FP32", ["1"], (1,), "FP32 takes numbers, got a string"),
        ("FP32", [True], (1,), "FP32 takes numbers, got a boolean"),
        ("FP32", [{}], (1,), "FP32 takes numbers, got an object"),
        ("BOOL", [True, None], (2,), "BOOL takes booleans, got null"),
        ("BOOL", [1, 2], (2,), "BOOL takes booleans, got an integer"),
        ("BOOL", [1.0], (1,), "BOOL takes booleans, got a number"),
        ("INT32", [1.0, 1.7], (2,), "INT32 takes integers, got a number that is no integer"),
        ("INT64", [2**53 + 1, 1.0, 2.0**60], (3,), "INT64 takes integers, got a number"),
        ("INT32", [math.nan], (1,), "INT32 takes integers, got a number that is no integer"),
        ("INT32", [2.0**31], (1,), "2147483648 is out of range for INT32"),
        ("BYTES", [1], (1,), "BYTES takes strings, got an integer"),
        ("BYTES", [None], (1,), "BYTES takes strings, got null"),
        ("BYTES", ["\ud800"], (1,), "surrogate"),
        ("FP32", [1, 2], (3,), "needs 3 elements, got 2"),
        ("FP32", [[1, 2], [3]], (2, 2), "do not form a regular tensor"),
        ("FP32", [[1, 2], [3, 4]], (4, 1), r"nested as \[2, 2\]"),
        ("BYTES", ["a"], (2,), "needs 2 elements, got 1"),
        ("BYTES", ["a"], (2**50,), "needs 1125899906842624 elements, got 1"),
        ("FP32", [1.5], (2**50,), "needs 1125899906842624 elements, got 1"),
    ],
)
def test_json_data_that_is_refused(datatype: str, data: object, shape: tuple[int, ...], words: str) -> None:
    with pytest.raises(InvalidArgumentError, match=words) as caught:
        array_from_json(data, DATATYPES[datatype], shape, "x")
    assert "'x'" in caught.value.message


def test_text_that_is_no_utf8_says_how_to_ask_instead() -> None:
    with pytest.raises(InvalidArgumentError, match="binary_data"):
        array_to_json(Tensor.from_array("y", np.array([b"\xff"], dtype=object)))
