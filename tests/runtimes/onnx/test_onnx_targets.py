"""Outputs computed straight into memory that is not onnxruntime's, where they fit and where they do not."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from oipserver_onnx import OnnxModel
from onnx import TensorProto, helper

from oipserver import ModelSettings, Tensor
from tests.support.models import IR_VERSION, write_identity_model

SIZE = 256


@pytest.fixture
def identity(tmp_path: Path) -> OnnxModel:
    write_identity_model(tmp_path / "identity", "FP32", 2)
    return loaded(tmp_path / "identity" / "model.onnx")


def loaded(path: Path) -> OnnxModel:
    model = OnnxModel(ModelSettings(name="m", implementation="onnx", parameters={"uri": str(path)}))
    asyncio.run(model.load())
    return model


def memory(size: int, offset: int = 0) -> np.ndarray[Any, Any]:
    """``size`` bytes that begin ``offset`` bytes behind an address that onnxruntime's allocations may have."""
    whole = np.zeros(size + 128, np.uint8)
    start = -whole.ctypes.data % 64 + offset
    return whole[start : start + size]


@pytest.mark.parametrize(
    ("size", "offset", "straight"), [(SIZE, 0, True), (SIZE + 100, 64, True), (SIZE, 4, False), (SIZE - 1, 0, False)]
)
def test_an_output_that_fits_is_computed_into_its_target(
    identity: OnnxModel, size: int, offset: int, straight: bool
) -> None:
    target = memory(size, offset)
    data = np.arange(SIZE // 4, dtype=np.float32).reshape(4, -1)
    (output,) = identity.infer_tensors([Tensor.from_array("x", data)], ["y"], {}, {"y": target.data})
    assert output.array.tolist() == data.tolist()
    assert np.shares_memory(output.array, target) is straight
    assert (target[: SIZE - 1] == data.view(np.uint8).ravel()[: target.size][: SIZE - 1]).all() is np.bool_(straight)


def test_no_elements_are_computed_nowhere(identity: OnnxModel) -> None:
    empty = np.empty((0, 3), np.float32)
    (output,) = identity.infer_tensors([Tensor.from_array("x", empty)], ["y"], {}, {"y": memory(64).data})
    assert output.shape == (0, 3)


def test_a_graph_whose_names_of_dimensions_lie_is_computed_all_the_same(tmp_path: Path) -> None:
    graph = helper.make_graph(
        [helper.make_node("NonZero", ["x"], ["y"])],
        "lie",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n"])],
        [helper.make_tensor_value_info("y", TensorProto.INT64, [1, "n"])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=IR_VERSION)
    onnx.save(model, tmp_path / "model.onnx")
    target = memory(64)
    data = np.array([1, 0, 1, 0], np.float32)
    (output,) = loaded(tmp_path / "model.onnx").infer_tensors(
        [Tensor.from_array("x", data)], [], {}, {"y": target.data}
    )
    assert output.array.tolist() == [[0, 2]]
    assert not np.shares_memory(output.array, target)


def test_text_has_no_target(tmp_path: Path) -> None:
    write_identity_model(tmp_path / "identity", "BYTES", 1)
    model = loaded(tmp_path / "identity" / "model.onnx")
    words = np.array([b"a"], dtype=object)
    (output,) = model.infer_tensors([Tensor.from_array("x", words)], ["y"], {}, {"y": memory(64).data})
    assert output.array.tolist() == [b"a"]
