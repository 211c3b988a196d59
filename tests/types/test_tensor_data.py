"""TensorData: a list to whoever looks, an array to whoever asks for one, and no list before that."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

from oipserver.tensor import Tensor, pack_bytes
from oipserver.tensor.json_data import bf16_from_float32
from oipserver.types import RequestInput, TensorData

MATRIX = np.array([[1.5, 2.5], [3.5, 4.5]], np.float32)


def raw_tensor() -> Tensor:
    return Tensor("a", "FP32", (2, 2), raw=MATRIX.tobytes())


def test_it_behaves_like_its_list() -> None:
    data = TensorData([[1, 2], [3, 4]])
    assert (data.root, list(data), data[0], data[-1:], len(data)) == (
        [[1, 2], [3, 4]],
        [[1, 2], [3, 4]],
        [1, 2],
        [[3, 4]],
        2,
    )


def test_a_single_element_stays_one() -> None:
    assert TensorData("hello").root == "hello"
    assert TensorData(root=3.5).elements() == 3.5


def test_elements_of_a_tensor_are_flat() -> None:
    data = TensorData(raw_tensor())
    assert len(data) == 4
    assert list(data) == [1.5, 2.5, 3.5, 4.5]
    assert data[1] == 2.5
    assert data == TensorData([1.5, 2.5, 3.5, 4.5])
    assert data != TensorData([1.5])
    assert data != [1.5, 2.5, 3.5, 4.5]


def test_passing_a_tensor_through_lists_nothing() -> None:
    tensor = raw_tensor()
    public = RequestInput(name="a", shape=[2, 2], datatype="FP32", data=TensorData(tensor))
    assert public.data.source is tensor
    assert len(public.data) == 4
    assert not tensor.has_array


def test_looking_keeps_the_source_and_taking_the_list_gives_it_up() -> None:
    data = TensorData(raw_tensor())
    assert list(data)
    assert data.source is not None
    data.root[0] = 9.0
    assert data.source is None
    assert list(data) == [9.0, 2.5, 3.5, 4.5]


def test_root_can_be_replaced() -> None:
    data = TensorData([1])
    data.root = [2, 3]
    assert list(data) == [2, 3]


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.array([1, 2], np.int8), [1, 2]),
        (np.array([[1.5, np.nan]]), [1.5, None]),
        (np.array(["a", "é"]), [b"a", "é".encode()]),
        (np.array([b"a", b"bc"]), [b"a\0bc"]),
        (np.array(["a", 1], object), ["a", 1]),
        (np.array(0.5), [0.5]),
    ],
)
def test_elements_of_arrays(array: Any, expected: list[Any]) -> None:
    assert TensorData(array).root == expected


def test_elements_of_bfloat16_are_numbers() -> None:
    tensor = Tensor("a", "BF16", (2, 2), array=bf16_from_float32(MATRIX))
    assert list(TensorData(tensor)) == [1.5, 2.5, 3.5, 4.5]


@pytest.mark.parametrize(("text", "expected"), [(False, [b"a", b"\xff"]), (True, ["a", "b"])])
def test_elements_of_bytes_are_text_where_they_came_as_text(text: bool, expected: list[Any]) -> None:
    elements = np.array([b"a", b"b" if text else b"\xff"], object)
    tensor = Tensor("a", "BYTES", (2,), raw=pack_bytes(elements), text=text)
    assert list(TensorData(tensor)) == expected


def test_numpy_takes_the_flat_elements() -> None:
    assert np.array(TensorData(raw_tensor())).tolist() == [1.5, 2.5, 3.5, 4.5]
    assert np.asarray(TensorData([[1, 2]])).shape == (1, 2)
    assert np.array(TensorData(raw_tensor()), dtype=np.int64).tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize("source", [raw_tensor(), MATRIX, [1, 2]])
def test_copies_and_pickles_are_equal(source: Any) -> None:
    data = TensorData(source)
    assert copy.deepcopy(data) == data
    assert pickle.loads(pickle.dumps(data)) == data


def test_dumps() -> None:
    data = TensorData.parse_raw("[1,null]")
    assert data.dict() == data.model_dump() == [1, None]
    assert data.json() == "[1,null]"
    assert TensorData.parse_obj(data) is data


def test_a_plain_list_in_its_place_is_dumped_as_well() -> None:
    public = RequestInput(name="a", shape=[1], datatype="FP32", data=[1.0])
    public.data = [2.0]
    assert public.model_dump()["data"] == [2.0]
