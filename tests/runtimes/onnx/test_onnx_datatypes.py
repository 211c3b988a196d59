"""Every datatype goes into a graph and comes out of it unchanged."""

from __future__ import annotations

from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oipserver_onnx import OnnxModel
from oipserver_onnx.execution import BoundExecution
from oipserver_onnx.session import load_graph
from onnx import helper

from oipserver import Tensor
from oipserver.errors import InternalError, InvalidArgumentError
from oipserver.tensor import DATATYPES, pack_bytes

from .graphs import ELEMENT_TYPES, add, identity, loaded, make, save, value

NUMERIC = [name for name in DATATYPES if name != "BYTES"]
SHAPES = [(), (0,), (1,), (5,), (2, 3), (2, 0, 4), (1, 1, 1, 1, 1)]


def raw_tensor(datatype: str, shape: tuple[int, ...], offset: int = 0) -> Tensor:
    """A tensor over wire bytes that begin ``offset`` bytes into a buffer."""
    count = int(np.prod(shape))
    size = count * DATATYPES[datatype].itemsize
    body = np.random.default_rng(count).integers(0, 2 if datatype == "BOOL" else 120, size, dtype=np.uint8).tobytes()
    return Tensor.from_raw("x", DATATYPES[datatype], shape, memoryview(bytes(offset) + body)[offset:])


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("datatype", NUMERIC)
def test_numbers_pass_unchanged(datatype: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    model = loaded(identity(tmp_path / "model.onnx", datatype, [f"d{axis}" for axis in range(len(shape))]))
    given_tensor = raw_tensor(datatype, shape)
    (output,) = model.infer_tensors([given_tensor], [], {})
    assert (output.name, output.datatype, output.shape) == ("y", datatype, shape)
    assert bytes(output.raw) == bytes(given_tensor.raw)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("datatype", NUMERIC)
def test_numbers_pass_unchanged_through_bound_memory(datatype: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    """The way a device is served, here on the CPU, where it gives the same."""
    path = identity(tmp_path / "model.onnx", datatype, [f"d{axis}" for axis in range(len(shape))])
    opened = load_graph(make(path).settings)
    execution = BoundExecution(opened.sessions[0], opened.graph, opened.run_options)
    given_tensor = raw_tensor(datatype, shape, offset=3)
    (array,) = execution(["y"], [given_tensor])
    assert bytes(Tensor.from_array("y", array, datatype).raw) == bytes(given_tensor.raw)
    assert array.shape == shape


@pytest.mark.parametrize("datatype", NUMERIC)
def test_a_buffer_may_begin_anywhere(datatype: str, tmp_path: Path) -> None:
    model = loaded(identity(tmp_path / "model.onnx", datatype, ["n"]))
    for offset in range(1, 8):
        given_tensor = raw_tensor(datatype, (9,), offset)
        (output,) = model.infer_tensors([given_tensor], [], {})
        assert bytes(output.raw) == bytes(given_tensor.raw)


@pytest.mark.parametrize("datatype", ["FP32", "BF16"])
def test_an_array_may_be_a_view_with_strides(datatype: str, tmp_path: Path) -> None:
    model = loaded(identity(tmp_path / "model.onnx", datatype, ["n", "m"]))
    array = np.arange(24, dtype=DATATYPES[datatype].dtype).reshape(4, 6).T[::2]
    (output,) = model.infer_tensors([Tensor.from_array("x", array, datatype)], [], {})
    assert np.array_equal(output.array, array)


def test_bf16_is_computed_with_not_only_passed_on(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Cast", ["x"], ["wide"], to=ELEMENT_TYPES["FP32"]),
        helper.make_node("Add", ["wide", "y"], ["sum"]),
        helper.make_node("Cast", ["sum"], ["z"], to=ELEMENT_TYPES["BF16"]),
    ]
    inputs, outputs = [value("x", "BF16", ["n"]), value("y", "FP32", ["n"])], [value("z", "BF16", ["n"])]
    model = loaded(save(tmp_path / "model.onnx", nodes, inputs, [*outputs, value("sum", "FP32", ["n"])]))
    x = np.array([1.5, -2.0, 3.25], ml_dtypes.bfloat16)
    y = np.array([0.5, 0.5, 0.5], np.float32)
    z, total = model.infer_tensors(
        [Tensor.from_array("x", x.view(np.uint16), "BF16"), Tensor.from_array("y", y)], ["z", "sum"], {}
    )
    assert z.array.view(ml_dtypes.bfloat16).tolist() == [2.0, -1.5, 3.75]
    assert total.array.tolist() == [2.0, -1.5, 3.75]


def test_a_bf16_answer_outlives_the_model(tmp_path: Path) -> None:
    model = loaded(identity(tmp_path / "model.onnx", "BF16", ["n"]))
    answers = [
        model.infer_tensors([Tensor.from_array("x", np.full(4096, number, np.uint16), "BF16")], [], {})[0].array
        for number in range(32)
    ]
    del model
    assert [(int(answer[0]), int(answer[-1])) for answer in answers] == [(number, number) for number in range(32)]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> OnnxModel:
    return loaded(identity(tmp_path_factory.mktemp("text") / "model.onnx", "BYTES", ["n"]))


class TestText:
    @given(texts=st.lists(st.text()))
    @settings(max_examples=50, deadline=None)
    def test_any_utf8_passes_unchanged(self, texts: list[str], model: OnnxModel) -> None:
        elements = np.empty(len(texts), object)
        elements[:] = [text.encode() for text in texts]
        packed = pack_bytes(elements)
        (output,) = model.infer_tensors([Tensor.from_raw("x", DATATYPES["BYTES"], (len(texts),), packed)], [], {})
        assert output.datatype == "BYTES"
        assert output.array.tolist() == elements.tolist()
        assert bytes(output.raw) == packed

    def test_nul_bytes_are_kept(self, model: OnnxModel) -> None:
        elements = np.array([b"\0", b"a\0b\0", b""], object)
        (output,) = model.infer_tensors([Tensor.from_array("x", elements)], [], {})
        assert output.array.tolist() == [b"\0", b"a\0b\0", b""]

    @pytest.mark.parametrize(
        "array", [np.array(["é", "bc"]), np.array([b"\xc3\xa9", b"bc"]), np.array(["é", b"bc"], object)]
    )
    def test_arrays_of_text_and_of_fixed_width_are_text_too(self, array: np.ndarray, model: OnnxModel) -> None:
        (output,) = model.infer_tensors([Tensor.from_array("x", array, "BYTES")], [], {})
        assert output.array.tolist() == ["é".encode(), b"bc"]

    def test_what_is_not_utf8_is_the_callers_mistake(self, model: OnnxModel) -> None:
        elements = np.array([b"fine", b"\xff\xfe"], object)
        with pytest.raises(InvalidArgumentError, match=r"input 'x' holds bytes that are not UTF-8 text at element 1"):
            model.infer_tensors([Tensor.from_array("x", elements)], [], {})

    def test_half_a_surrogate_pair_is_the_callers_mistake(self, model: OnnxModel) -> None:
        with pytest.raises(InvalidArgumentError, match="not valid Unicode"):
            model.infer_tensors([Tensor.from_array("x", np.array(["\udcff"], object))], [], {})

    @pytest.mark.parametrize("shape", [(), (2, 0), (2, 2)], ids=str)
    def test_any_shape(self, shape: tuple[int, ...], tmp_path: Path) -> None:
        model = loaded(identity(tmp_path / "model.onnx", "BYTES", [f"d{axis}" for axis in range(len(shape))]))
        elements = np.full(shape, b"t\xc3\xa4g", object)
        (output,) = model.infer_tensors([Tensor.from_array("x", elements)], [], {})
        assert output.shape == shape
        assert output.array.tolist() == elements.tolist()

    def test_a_model_that_gives_other_bytes_fails_and_says_so(self, tmp_path: Path) -> None:
        constant = helper.make_tensor("c", ELEMENT_TYPES["BYTES"], [1], [b"\xff"])
        node = helper.make_node("Identity", ["c"], ["y"])
        model = loaded(save(tmp_path / "model.onnx", [node], [], [value("y", "BYTES", [1])], [constant]))
        with pytest.raises(InternalError, match="gave text that is not UTF-8"):
            model.infer_tensors([], [], {})

    def test_text_and_numbers_in_one_graph(self, tmp_path: Path) -> None:
        nodes = [
            helper.make_node("Cast", ["text"], ["number"], to=ELEMENT_TYPES["INT64"]),
            helper.make_node("Add", ["number", "more"], ["sum"]),
            helper.make_node("Cast", ["sum"], ["answer"], to=ELEMENT_TYPES["BYTES"]),
        ]
        inputs = [value("text", "BYTES", ["n"]), value("more", "INT64", ["n"])]
        outputs = [value("answer", "BYTES", ["n"]), value("sum", "INT64", ["n"])]
        model = loaded(save(tmp_path / "model.onnx", nodes, inputs, outputs))
        text = Tensor.from_array("text", np.array([b"40", b"-1"], object))
        more = Tensor.from_array("more", np.array([2, 1]))
        answer, total = model.infer_tensors([text, more], [], {})
        assert (answer.array.tolist(), total.array.tolist()) == ([b"42", b"0"], [42, 0])
        with pytest.raises(InvalidArgumentError, match="cannot take these inputs in its Cast node"):
            model.infer_tensors([Tensor.from_array("text", np.array([b"x", b"y"], object)), more], [], {})


def test_inputs_are_read_where_they_are(tmp_path: Path) -> None:
    model = loaded(add(tmp_path / "model.onnx"))
    a, b = (Tensor.from_array(name, np.ones((2, 4), np.float32)) for name in "ab")
    a.array.flags.writeable = False
    total, difference = model.infer_tensors([a, b], [], {})
    assert total.array.tolist() == [[2.0] * 4] * 2
    assert difference.array.tolist() == [[0.0] * 4] * 2
