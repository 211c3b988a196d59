"""Which outputs are given under which names, and what mistakes in a request are answered with."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from oipserver_onnx import OnnxModel
from onnx import helper

from oipserver import ModelSettings, Tensor
from oipserver.errors import InvalidArgumentError

from .graphs import add, dense, identity, loaded, save, value


def ones(*names: str, shape: tuple[int, ...] = (2, 4)) -> list[Tensor]:
    return [Tensor.from_array(name, np.ones(shape, np.float32)) for name in names]


@pytest.fixture
def model(tmp_path: Path) -> OnnxModel:
    return loaded(add(tmp_path / "model.onnx"))


def names(outputs: list[Tensor]) -> list[str]:
    return [output.name for output in outputs]


def test_all_outputs_are_given_where_none_is_asked_for(model: OnnxModel) -> None:
    assert names(model.infer_tensors(ones("a", "b"), [], {})) == ["sum", "difference"]


def test_outputs_come_in_the_order_asked_for(model: OnnxModel) -> None:
    difference, total = model.infer_tensors(ones("a", "b"), ["difference", "sum"], {})
    assert (difference.name, total.name) == ("difference", "sum")
    assert (difference.array.max(), total.array.min()) == (0.0, 2.0)


def test_predict_is_the_first_output(model: OnnxModel) -> None:
    (output,) = model.infer_tensors(ones("a", "b"), ["predict"], {})
    assert output.name == "predict"
    assert output.array.tolist() == [[2.0] * 4] * 2


def test_predict_beside_the_output_it_stands_for(model: OnnxModel) -> None:
    outputs = model.infer_tensors(ones("a", "b"), ["predict", "sum"], {})
    assert names(outputs) == ["predict", "sum"]
    assert outputs[0].array.tolist() == outputs[1].array.tolist()


def test_an_output_called_predict_is_no_alias(tmp_path: Path) -> None:
    model = loaded(add(tmp_path / "model.onnx", outputs=("sum", "predict")))
    (output,) = model.infer_tensors(ones("a", "b"), ["predict"], {})
    assert output.array.max() == 0.0


@pytest.mark.parametrize("implementation", ["mlserver_onnx.OnnxModel", "mlserver_onnx.onnx.OnnxModel"])
def test_settings_written_for_mlserver_get_predict_by_default(implementation: str, tmp_path: Path) -> None:
    path = add(tmp_path / "model.onnx")
    model = OnnxModel(ModelSettings(name="m", implementation=implementation, parameters={"uri": str(path)}))
    asyncio.run(model.load())
    assert names(model.infer_tensors(ones("a", "b"), [], {})) == ["predict"]
    assert names(model.infer_tensors(ones("a", "b"), ["difference"], {})) == ["difference"]


def test_an_unknown_output_is_refused(model: OnnxModel) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        model.infer_tensors(ones("a", "b"), ["sum", "product"], {})
    assert str(caught.value) == (
        "unexpected inference output 'product' for model 'm', expected ['sum', 'difference', 'predict']"
    )


class TestMistakes:
    def test_a_missing_input(self, model: OnnxModel) -> None:
        with pytest.raises(InvalidArgumentError, match=r"model 'm' expects inputs \['a', 'b'\], missing are \['b'\]"):
            model.infer_tensors(ones("a"), [], {})

    def test_an_unknown_input(self, model: OnnxModel) -> None:
        with pytest.raises(InvalidArgumentError, match=r"unexpected inference input 'c' for model 'm', expected"):
            model.infer_tensors(ones("a", "b", "c"), [], {})

    def test_another_datatype(self, model: OnnxModel) -> None:
        inputs = [*ones("a"), Tensor.from_array("b", np.ones((2, 4)))]
        with pytest.raises(InvalidArgumentError, match=r"input 'b' data-type is 'FP64', but model 'm' expects 'FP32'"):
            model.infer_tensors(inputs, [], {})

    def test_another_shape(self, model: OnnxModel) -> None:
        with pytest.raises(InvalidArgumentError, match=r"input 'a' for model 'm'. Expected \[-1,4\], got \[2,5\]"):
            model.infer_tensors(ones("a", "b", shape=(2, 5)), [], {})

    def test_dimensions_of_one_name_that_differ(self, model: OnnxModel) -> None:
        inputs = [*ones("a"), *ones("b", shape=(3, 4))]
        with pytest.raises(InvalidArgumentError, match=r"input 'b' .* Axis 0 \('rows'\) is 3, but 2 in input 'a'"):
            model.infer_tensors(inputs, [], {})

    def test_values_a_node_refuses_name_no_place_in_anybodys_source(self, tmp_path: Path) -> None:
        node = helper.make_node("Reshape", ["x", "shape"], ["y"])
        inputs = [value("x", "FP32", ["n"]), value("shape", "INT64", ["k"])]
        model = loaded(save(tmp_path / "model.onnx", [node], inputs, [value("y", "FP32", None)]))
        given = [Tensor.from_array("x", np.ones(6, np.float32)), Tensor.from_array("shape", np.array([4, 4]))]
        with pytest.raises(InvalidArgumentError) as caught:
            model.infer_tensors(given, [], {})
        message = str(caught.value)
        assert message.startswith("model 'm' cannot take these inputs in its Reshape node: ")
        assert "cannot be reshaped to the requested shape" in message
        assert ".h:" not in message
        assert "onnxruntime" not in message

    @pytest.mark.parametrize("tensor", [Tensor.from_array("x", np.ones(2, np.float32)), ones("q")[0]])
    def test_of_a_bf16_model(self, tensor: Tensor, tmp_path: Path) -> None:
        model = loaded(identity(tmp_path / "model.onnx", "BF16", ["n"]))
        with pytest.raises(InvalidArgumentError, match=f"input '{tensor.name}'"):
            model.infer_tensors([tensor], [], {})


def test_nothing_is_written_when_a_node_fails(model: OnnxModel, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InvalidArgumentError):
        model.infer_tensors([*ones("a"), *ones("b", shape=(3, 4))], [], {})
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("datatype", ["FP32", "BF16", "BYTES"])
def test_threads_do_not_get_each_others_answers(datatype: str, tmp_path: Path) -> None:
    model = loaded(identity(tmp_path / "model.onnx", datatype, ["n"]), {"instances": 4})
    assert model.instances == 4
    together = threading.Barrier(4)

    def ask(number: int) -> bool:
        together.wait(timeout=30)
        for turn in range(50):
            mine = number * 1000 + turn
            array = np.full(257, mine, {"FP32": np.float32, "BF16": np.uint16, "BYTES": object}[datatype])
            if datatype == "BYTES":
                array[:] = str(mine).encode()
            (output,) = model.infer_tensors([Tensor.from_array("x", array, datatype)], [], {})
            if not np.array_equal(output.array, array):
                return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(ask, range(4)))


def test_an_execution_under_way_outlives_the_unload(tmp_path: Path) -> None:
    model = loaded(dense(tmp_path / "model.onnx", 64, 64))
    execution = model._execution
    assert execution is not None
    asyncio.run(model.unload())
    (array,) = execution(["y"], ones("x", shape=(1, 64)))
    assert array.tolist() == [[64.0] * 64]
