"""Configurations completed by the graphs they are for, compared with them, and what callers get then."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from onnx import helper, numpy_helper

from oipserver.errors import InvalidArgumentError, ModelLoadError
from oipserver.executor.pool import PoolManager
from oipserver.registry import ServableBuilder
from oipserver.settings import ModelParameters, ModelSettings, Settings
from tests.registry.loading import Loaded
from tests.runtimes.onnx.graphs import Shape, add, identity, save, value


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "m" / "1").mkdir(parents=True)
    return tmp_path / "m" / "1" / "model.onnx"


def constant(path: Path, shape: Sequence[int]) -> Path:
    """A graph that takes nothing."""
    tensor = numpy_helper.from_array(np.ones(shape, np.float32), "y")
    return save(path, [helper.make_node("Constant", [], ["y"], value=tensor)], [], [value("y", "FP32", shape)])


# -- completing ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "configuration", "size", "dims", "batching"),
    [
        (["n", 16], None, 4, [16], True),
        (["n"], None, 4, [1], True),
        ([None, "m", 3], None, 4, [-1, 3], True),
        ([1, 16], None, 0, [1, 16], False),
        ([3, "m"], None, 0, [3, -1], False),
        ([], None, 0, [1], False),
        (["n", 16], "max_batch_size: 32", 32, [16], False),
        (["n", 16], "max_batch_size: 32 dynamic_batching { }", 32, [16], True),
        (["n", 16], "instance_group { kind: KIND_CPU }", 4, [16], True),
        (["n", 16], "sequence_batching { }", 4, [16], False),
        (["n", 16], "input { name: 'x' data_type: TYPE_FP32 dims: 16 }", 4, [16], True),
        (["n", 16], "input { name: 'x' data_type: TYPE_FP32 dims: [-1, 16] }", 0, [-1, 16], False),
        (["n", 16], "output { name: 'y' data_type: TYPE_FP32 dims: [-1, 16] }", 0, [-1, 16], False),
    ],
)
def test_completing(
    tmp_path: Path, file: Path, shape: Shape, configuration: str | None, size: int, dims: list[int], batching: bool
) -> None:
    identity(file, "FP32", shape)
    told = Loaded(tmp_path, configuration)
    assert told.configuration["max_batch_size"] == size
    assert ("dynamic_batching" in told.configuration) is batching
    assert told.tensors("input") == [("x", "TYPE_FP32", dims)]
    assert told.tensors("output") == [("y", "TYPE_FP32", dims)]
    assert told.shapes() == [((-1, *dims) if size else tuple(dims))] * 2
    assert told.servable.settings.max_batch_size == (size if batching else 0)


def test_a_whole_configuration_is_left_alone(tmp_path: Path, file: Path) -> None:
    identity(file, "FP32", ["n", 16])
    sides = " ".join(f"{side} {{ name: '{name}' data_type: TYPE_FP32 dims: [-1, 16] }}"
                     for side, name in (("input", "x"), ("output", "y")))  # fmt: skip
    told = Loaded(tmp_path, sides)
    assert told.configuration["max_batch_size"] == 0
    assert told.shapes() == [(-1, 16)] * 2


def test_switches(tmp_path: Path, file: Path) -> None:
    identity(file, "FP32", ["n", 16])
    assert Loaded(tmp_path, default_max_batch_size=1).configuration["max_batch_size"] == 1
    assert "dynamic_batching" not in Loaded(tmp_path, default_max_batch_size=1).configuration
    assert Loaded(tmp_path, default_max_batch_size=0).shapes() == [(-1, 16)] * 2
    with pytest.raises(ModelLoadError, match="unable to load model 'm', configuration expects 0 inputs, model provid"):
        Loaded(tmp_path, "backend: 'onnxruntime'", disable_auto_complete_config=True)


def test_a_graph_without_inputs(tmp_path: Path, file: Path) -> None:
    constant(file, [2, 3])
    told = Loaded(tmp_path)
    assert (told.configuration["max_batch_size"], told.configuration["input"]) == (0, [])
    assert told.infer()["y"].shape == (2, 3)


def test_what_clients_look_for_is_told(tmp_path: Path, file: Path) -> None:
    identity(file, "INT32", ["n", 16])
    told = Loaded(tmp_path, "max_batch_size: 8 instance_group { count: 2 kind: KIND_CPU }").configuration
    tensor = {"data_type": "TYPE_INT32", "dims": [16], "is_shape_tensor": False, "is_non_linear_format_io": False}
    more = {"format": "FORMAT_NONE", "allow_ragged_batch": False, "optional": False}
    group = {"kind": "KIND_CPU", "count": 2, "gpus": [], "secondary_devices": [], "profile": []}
    assert told == {
        "name": "m",
        "platform": "onnxruntime_onnx",
        "backend": "onnxruntime",
        "runtime": "",
        "version_policy": {"latest": {"num_versions": 1}},
        "max_batch_size": 8,
        "input": [{"name": "x", **tensor, **more}],
        "output": [{"name": "y", **tensor, "label_filename": ""}],
        "batch_input": [],
        "batch_output": [],
        "optimization": {
            "priority": "PRIORITY_DEFAULT",
            "input_pinned_memory": {"enable": True},
            "output_pinned_memory": {"enable": True},
            "gather_kernel_buffer_threshold": 0,
            "eager_batching": False,
        },
        "instance_group": [{"name": "m_0", **group, "passive": False, "host_policy": ""}],
        "default_model_filename": "model.onnx",
        "cc_model_filenames": {},
        "metric_tags": {},
        "parameters": {},
        "model_warmup": [],
    }


# -- comparing -----------------------------------------------------------------------------------------------------

TWO = "input [ { name: 'a' data_type: TYPE_FP32 dims: 4 }, { name: 'b' data_type: TYPE_FP32 dims: 4 } ] "
SUM = "output { name: 'sum' data_type: TYPE_FP32 dims: 4 } "


@pytest.mark.parametrize(
    ("shape", "configuration", "complaint"),
    [
        ([1, 4], "max_batch_size: 8", "autofill failed for model 'm': model does not support batching while non-zero"),
        (
            ["n", 4],
            "max_batch_size: 8 " + TWO.replace("}, {", "} ] #") + "\n" + SUM,
            "configuration expects 1 inputs, model provides 2",
        ),
        (
            ["n", 4],
            "max_batch_size: 8 " + TWO.replace("'b'", "'c'") + SUM,
            "unexpected inference input 'c', allowed in",
        ),
        (
            ["n", 4],
            "max_batch_size: 8 " + TWO + SUM.replace("sum", "x"),
            "unexpected inference output 'x', allowed out",
        ),
        (
            ["n", 4],
            "max_batch_size: 8 " + TWO.replace("FP32", "INT8") + SUM,
            "unable to load model 'm', configuration expects datatype TYPE_INT8 for input 'a', model provides",
        ),
        (
            ["n", 4],
            "max_batch_size: 8 " + TWO.replace("dims: 4", "dims: [1, 4]") + SUM,
            "model 'm', tensor 'a': the model expects 2 dimensions (shape [-1,4]) but the model configuration "
            "specifies 3 dimensions (an initial batch dimension because max_batch_size > 0 followed by the explicit "
            "tensor shape, making complete shape [-1,1,4])",
        ),
        (["n", 4], TWO + SUM, "specifies 1 dimensions (shape [4])"),
        (
            [1, 4],
            "max_batch_size: 8 " + TWO + SUM,
            "for the model to support batching the shape should have at least 1",
        ),
        (
            ["n", 4],
            "max_batch_size: 8 " + TWO.replace("dims: 4", "dims: 5") + SUM,
            "making complete shape [-1,5])",
        ),
        (
            ["n", "m"],
            "max_batch_size: 8 " + TWO + SUM + "batch_input { }",
            "batch_input or batch_output, which are not",
        ),
        (["n", 4], "dynamic_batching { preferred_batch_size: 8 }", "preferred size must be <= max"),
        (
            ["n", 4],
            "max_batch_size: 8 sequence_batching { control_input { name: 'c' control { int32_false_true: [0, 1] } } } "
            + TWO
            + SUM,
            "expects a tensor 'c' for its sequences",
        ),
        (
            ["n", 4],
            TWO + SUM.replace("dims", "label_filename: 'gone' dims") + "max_batch_size: 1",
            "cannot read the lab",
        ),
        (["n", 4], TWO + SUM.replace("dims", "label_filename: '../x' dims") + "max_batch_size: 1", "leads out of"),
    ],
)
def test_configurations_of_other_graphs(
    tmp_path: Path, file: Path, shape: Shape, configuration: str, complaint: str
) -> None:
    add(file, shape)
    with pytest.raises(ModelLoadError) as failure:
        Loaded(tmp_path, configuration)
    assert complaint in failure.value.message
    assert "'m'" in failure.value.message


# -- what callers get ----------------------------------------------------------------------------------------------


def test_narrower_inputs_fewer_outputs_and_labels(tmp_path: Path, file: Path) -> None:
    add(file, ["n", "m"])
    (tmp_path / "m" / "labels.txt").write_text("cat\r\ndog\n\nbird\n")
    output = SUM.replace("dims: 4", "dims: -1 label_filename: 'labels.txt'")
    told = Loaded(tmp_path, "max_batch_size: 2 " + TWO + output)
    assert told.servable.face.details["labels"] == {"sum": ("cat", "dog", "", "bird")}
    assert told.shapes() == [(-1, 4), (-1, 4), (-1, -1)]
    ones = np.ones((2, 4), np.float32)
    assert told.infer(a=ones, b=ones).keys() == {"sum"}
    with pytest.raises(InvalidArgumentError, match="unexpected inference output 'difference' for model 'm'"):
        told.infer(["difference"], a=ones, b=ones)
    with pytest.raises(InvalidArgumentError, match=r"unexpected shape for input 'a' .*Expected \[-1,4\], got \[2,5\]"):
        told.infer(a=np.ones((2, 5), np.float32), b=ones)
    with pytest.raises(InvalidArgumentError, match="inference request batch-size must be <= 2 for 'm'"):
        told.infer(a=np.ones((3, 4), np.float32), b=np.ones((3, 4), np.float32))


def test_reshapes(tmp_path: Path, file: Path) -> None:
    add(file, ["n", "m", 2])
    a = "input { name: 'a' data_type: TYPE_FP32 dims: [-1, 2, 1] reshape { shape: [-1, 2] } } "
    b = "input { name: 'b' data_type: TYPE_FP32 dims: [-1, 2] } "
    out = "output { name: 'sum' data_type: TYPE_FP32 dims: [-1, 1, 1, 2] reshape { shape: [-1, 2] } }"
    told = Loaded(tmp_path, "max_batch_size: 8 dynamic_batching { } " + a + b + out)
    values = np.arange(12, dtype=np.float32)
    answer = told.infer(a=values.reshape(2, 3, 2, 1), b=values.reshape(2, 3, 2))["sum"]
    np.testing.assert_array_equal(answer, 2 * values.reshape(2, 3, 1, 1, 2))


def test_an_empty_reshape(tmp_path: Path, file: Path) -> None:
    identity(file, "FP32", ["n"])
    told = Loaded(tmp_path)
    assert told.configuration["input"][0]["reshape"] == {"shape": []}
    np.testing.assert_array_equal(told.infer(x=np.float32([[1], [2], [3]]))["y"], [[1], [2], [3]])


def test_scalars_are_one_element_to_callers(tmp_path: Path, file: Path) -> None:
    identity(file, "FP32", [])
    np.testing.assert_array_equal(Loaded(tmp_path).infer(x=np.float32([7]))["y"], [7])


def test_a_configuration_in_the_settings_of_any_model(file: Path) -> None:
    add(file, ["n", 4])
    server = Settings()
    settings = ModelSettings(
        name="m",
        implementation="onnx",
        max_batch_size=3,
        preferred_batch_size=[2],
        parameters=ModelParameters(uri=str(file)),
        configuration={"output": [{"name": "sum", "data_type": "TYPE_FP32", "dims": ["4"]}]},
    )
    servable = ServableBuilder(server, PoolManager(server)).build(settings)
    asyncio.run(servable.load())
    told = servable.configuration
    assert (told["name"], told["backend"], told["max_batch_size"]) == ("m", "onnxruntime", 3)
    assert told["dynamic_batching"]["preferred_batch_size"] == [2]
    assert [tensor["dims"] for tensor in told["input"]] == [[4], [4]]
    assert [tensor.name for tensor in servable.face.metadata.outputs] == ["sum"]
