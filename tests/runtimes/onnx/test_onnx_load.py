"""Finding the file, reading the graph, and one clear line for each way it can fail."""

from __future__ import annotations

import asyncio
import logging
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from oipserver_onnx import OnnxModel
from oipserver_onnx import failures as failures_module
from onnx import TensorProto, helper

from oipserver import ModelSettings, Tensor
from oipserver.errors import ModelLoadError
from oipserver.settings.model import TensorSettings

from .graphs import add, dense, identity, loaded, make, save, value


def failure(model: OnnxModel) -> str:
    """The one line a model that cannot load is refused with."""
    with pytest.raises(ModelLoadError) as caught:
        asyncio.run(model.load())
    assert caught.value.message.startswith("model 'm'")
    assert "\n" not in caught.value.message
    return caught.value.message


class TestArtefact:
    def test_a_file(self, tmp_path: Path) -> None:
        assert loaded(add(tmp_path / "any-name.onnx")).outputs

    def test_a_folder_with_model_onnx(self, tmp_path: Path) -> None:
        add(tmp_path / "model.onnx")
        (tmp_path / "other.onnx").write_bytes(b"not read")
        assert loaded(tmp_path).outputs

    def test_a_folder_with_one_file(self, tmp_path: Path) -> None:
        add(tmp_path / "any-name.onnx")
        assert loaded(tmp_path).outputs

    def test_a_file_address(self, tmp_path: Path) -> None:
        assert loaded(f"file://{add(tmp_path / 'model.onnx')}").outputs

    @pytest.mark.parametrize("uri", ["weights/net.onnx", "weights", None])
    def test_relative_to_the_settings_file(
        self, uri: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "weights").mkdir()
        add(tmp_path / ("weights/net.onnx" if uri else "model.onnx"))
        settings = ModelSettings(name="m", implementation="onnx", parameters={"uri": uri})
        settings._source = str(tmp_path / "model-settings.json")
        monkeypatch.chdir("/")
        model = OnnxModel(settings)
        asyncio.run(model.load())
        assert model.outputs

    def test_several_files_and_no_choice(self, tmp_path: Path) -> None:
        add(tmp_path / "a.onnx")
        add(tmp_path / "b.onnx")
        assert failure(make(tmp_path)).endswith("say which one in parameters.uri: a.onnx, b.onnx")

    def test_an_empty_folder(self, tmp_path: Path) -> None:
        assert failure(make(tmp_path)) == f"model 'm': there is no model.onnx in '{tmp_path}'"

    def test_a_missing_file(self, tmp_path: Path) -> None:
        assert f"there is no file '{tmp_path / 'model.onnx'}'" in failure(make(tmp_path / "model.onnx"))

    def test_no_uri_and_no_settings_file(self) -> None:
        assert "parameters.uri names no ONNX file" in failure(OnnxModel(ModelSettings(name="m")))

    def test_external_weights(self, tmp_path: Path) -> None:
        external = {"save_as_external_data": True, "location": "weights.bin", "size_threshold": 0}
        path = dense(tmp_path / "model.onnx", 8, 3, **external)
        assert (tmp_path / "weights.bin").stat().st_size == 8 * 3 * 4
        (output,) = loaded(path).infer_tensors([Tensor.from_array("x", np.ones((1, 8), np.float32))], [], {})
        assert output.array.tolist() == [[8.0] * 3]

        # a volume of Kubernetes, or a cache of downloads: links to both files
        (tmp_path / "links").mkdir()
        for name in ("model.onnx", "weights.bin"):
            (tmp_path / "links" / name).symlink_to(f"../{name}")
        assert loaded(tmp_path / "links").outputs

        (tmp_path / "weights.bin").unlink()
        assert re.search(r"external weights of '.*model\.onnx' cannot be read: .*weights\.bin", failure(make(path)))


class TestUnreadable:
    @pytest.mark.parametrize("content", [b"", b"no model at all" * 9])
    def test_what_is_no_model(self, content: bytes, tmp_path: Path) -> None:
        path = tmp_path / "model.onnx"
        path.write_bytes(content)
        assert f"is not an ONNX model, or only part of one ({len(content)} bytes)" in failure(make(path))

    def test_half_a_model(self, tmp_path: Path) -> None:
        path = dense(tmp_path / "model.onnx", 64, 64)
        path.write_bytes(path.read_bytes()[:9000])
        assert "is not an ONNX model, or only part of one (9000 bytes)" in failure(make(path))

    def test_a_newer_ir_version(self, tmp_path: Path) -> None:
        message = failure(make(add(tmp_path / "model.onnx", ir_version=99)))
        assert re.search(
            r"exported with IR version 99, this onnxruntime reads up to (\d+)\. .*ir_version = \1", message
        )

    def test_a_newer_opset(self, tmp_path: Path) -> None:
        message = failure(make(add(tmp_path / "model.onnx", opset=99)))
        assert re.search(r"opset 99 of ai\.onnx, this onnxruntime knows up to (\d+)\. .* opset \1 or less", message)

    def test_an_unknown_operator(self, tmp_path: Path) -> None:
        node = helper.make_node("Levitate", ["x"], ["y"], domain="example.org")
        tensors = [[value(name, "FP32", ["n"])] for name in "xy"]
        path = save(tmp_path / "model.onnx", [node], *tensors, domains=["example.org"])
        assert re.search(r"uses an operator this onnxruntime does not have: .*Levitate", failure(make(path)))

    def test_a_missing_locale(self, tmp_path: Path) -> None:
        # What onnxruntime says on a machine without the locale; those that have it cannot make it say so.
        said = onnxruntime.capi.onnxruntime_pybind11_state.RuntimeException(
            "[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Exception during initialization: "
            "string_normalizer.cc:60 Failed to construct locale with name:en_US.UTF-8:locale::facet"
        )
        message = failures_module.load_failure(said, "m", tmp_path / "model.onnx").message
        assert "StringNormalizer" in message
        assert "localedef -i en_US" in message

    def test_type_names_of_other_places_are_left_out(self, tmp_path: Path) -> None:
        node = helper.make_node("Add", ["a", "b"], ["y"])
        inputs, outputs = [value("a", "FP32", ["n"]), value("b", "INT64", ["n"])], [value("y", "FP32", ["n"])]
        message = failure(make(save(tmp_path / "model.onnx", [node], inputs, outputs)))
        assert "onnxruntime cannot load" in message
        assert "ONNXRuntimeError" not in message


class TestGraph:
    def test_metadata(self, tmp_path: Path) -> None:
        node = helper.make_node("Identity", ["x"], ["y"])
        path = save(tmp_path / "model.onnx", [node], [value("x", "FP16", ["n", None, 3])], [value("y", "FP16", None)])
        told = asyncio.run(loaded(path).metadata())
        assert told.model_dump() == {
            "name": "m",
            "platform": "onnxruntime_onnx",
            "versions": [],
            "inputs": [{"name": "x", "datatype": "FP16", "shape": [-1, -1, 3]}],
            "outputs": [{"name": "y", "datatype": "FP16", "shape": [-1, -1, 3]}],
        }

    def test_weights_are_no_inputs(self, tmp_path: Path) -> None:
        weight = helper.make_tensor("b", TensorProto.FLOAT, [4], [1.0] * 4)
        inputs = [value("a", "FP32", ["n", 4]), value("b", "FP32", [4])]
        node = helper.make_node("Add", ["a", "b"], ["y"])
        model = loaded(save(tmp_path / "model.onnx", [node], inputs, [value("y", "FP32", ["n", 4])], [weight]))
        assert [tensor.name for tensor in model.inputs] == ["a"]

    def test_settings_may_narrow_a_shape_and_add_parameters(self, tmp_path: Path) -> None:
        declared = [TensorSettings(name="x", datatype="FP32", shape=[-1, 7], parameters={"content_type": "np"})]
        model = loaded(identity(tmp_path / "model.onnx", "FP32", ["n", "m"]), inputs=declared)
        (told,) = model.inputs
        assert told.model_dump() == {
            "name": "x",
            "datatype": "FP32",
            "shape": [-1, 7],
            "parameters": {"content_type": "np"},
        }

    def test_settings_say_the_shape_of_an_input_whose_rank_the_graph_leaves_open(self, tmp_path: Path) -> None:
        declared = [TensorSettings(name="x", datatype="FP32", shape=[-1, 3])]
        model = loaded(identity(tmp_path / "model.onnx", "FP32", None), inputs=declared)
        assert [told.shape for told in model.inputs] == [[-1, 3]]
        (output,) = model.infer_tensors([Tensor.from_array("x", np.ones((2, 3), np.float32))], [], {})
        assert output.shape == (2, 3)

    @pytest.mark.parametrize(
        "declared",
        [
            TensorSettings(name="x", datatype="FP64", shape=[-1, 4]),
            TensorSettings(name="x", datatype="FP32", shape=[-1, 5]),
            TensorSettings(name="x", datatype="FP32", shape=[4]),
        ],
    )
    def test_the_graph_counts_where_settings_disagree(
        self, declared: TensorSettings, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        model = loaded(identity(tmp_path / "model.onnx", "FP32", ["n", 4]), inputs=[declared])
        assert [(told.datatype, told.shape) for told in model.inputs] == [("FP32", [-1, 4])]
        assert "the graph has FP32 [-1, 4], which counts" in caplog.text

    def test_a_declared_name_the_graph_has_not(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        declared = [TensorSettings(name="z", datatype="FP32", shape=[1])]
        assert [told.name for told in loaded(add(tmp_path / "model.onnx"), outputs=declared).outputs] == [
            "sum",
            "difference",
        ]
        assert "declare 'z', which the graph does not have" in caplog.text

    def test_a_sequence_cannot_be_carried(self, tmp_path: Path) -> None:
        node = helper.make_node("SequenceConstruct", ["x"], ["y"])
        output = helper.make_tensor_sequence_value_info("y", TensorProto.FLOAT, None)
        message = failure(make(save(tmp_path / "model.onnx", [node], [value("x", "FP32", ["n"])], [output])))
        assert "output 'y' is a seq(tensor(float)), which the Open Inference Protocol cannot carry" in message

    def test_a_list_of_maps_says_how_to_export_without(self, tmp_path: Path) -> None:
        node = helper.make_node("ZipMap", ["x"], ["y"], domain="ai.onnx.ml", classlabels_int64s=[0, 1])
        pairs = helper.make_sequence_type_proto(
            helper.make_map_type_proto(TensorProto.INT64, helper.make_tensor_type_proto(TensorProto.FLOAT, []))
        )
        inputs, outputs = [value("x", "FP32", ["n", 2])], [helper.make_value_info("y", pairs)]
        message = failure(make(save(tmp_path / "model.onnx", [node], inputs, outputs, domains=["ai.onnx.ml"])))
        assert "output 'y' is a seq(map(int64,tensor(float)))" in message
        assert "'zipmap': False" in message

    def test_an_optional_input_cannot_be_carried(self, tmp_path: Path) -> None:
        kind = helper.make_optional_type_proto(helper.make_tensor_type_proto(TensorProto.FLOAT, ["n"]))
        node = helper.make_node("OptionalGetElement", ["x"], ["y"])
        inputs, outputs = [helper.make_value_info("x", kind)], [value("y", "FP32", ["n"])]
        assert "input 'x' is a optional(" in failure(make(save(tmp_path / "model.onnx", [node], inputs, outputs)))

    def test_an_eight_bit_float_cannot_be_carried(self, tmp_path: Path) -> None:
        tensors = [[helper.make_tensor_value_info(name, TensorProto.FLOAT8E4M3FN, ["n"])] for name in "xy"]
        path = save(tmp_path / "model.onnx", [helper.make_node("Identity", ["x"], ["y"])], *tensors)
        assert "input 'x' is a tensor(float8e4m3fn)" in failure(make(path))

    def test_bf16_and_text_in_one_graph(self, tmp_path: Path) -> None:
        nodes = [helper.make_node("Identity", [name], [f"{name}_out"]) for name in "xy"]
        inputs = [value("x", "BF16", ["n"]), value("y", "BYTES", ["n"])]
        outputs = [value("x_out", "BF16", ["n"]), value("y_out", "BYTES", ["n"])]
        assert "BF16 and of BYTES" in failure(make(save(tmp_path / "model.onnx", nodes, inputs, outputs)))


def test_the_loop_runs_on_while_a_model_loads(tmp_path: Path) -> None:
    async def turns_while_loading() -> int:
        loading = asyncio.create_task(make(dense(tmp_path / "model.onnx", 1024, 1024)).load())
        turns = 0
        while not loading.done():
            await asyncio.sleep(0)
            turns += 1
        assert await loading
        return turns

    assert asyncio.run(turns_while_loading()) > 10  # loaded on the loop it would be done after its first turn


def test_importing_the_runtime_loads_no_onnxruntime() -> None:
    program = "import sys, oipserver_onnx; sys.exit('onnxruntime' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_what_was_loaded_is_logged_and_nothing_is_printed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.INFO, "oipserver_onnx"):
        model = loaded(add(tmp_path / "model.onnx"))
    assert "model 'm' runs on CPUExecutionProvider with 1 intra-op thread(s) and 1 instance(s)" in caplog.text
    assert model.execution_provider == "CPUExecutionProvider"
    assert capfd.readouterr().out == ""
