"""What a configuration in Triton's form comes to in onnxruntime."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from oipserver_onnx.configured import configured_options
from oipserver_onnx.execution import SpreadExecution
from oipserver_onnx.options import read_options
from oipserver_onnx.providers import default_providers
from oipserver_onnx.session import load_graph

from oipserver import ModelSettings, Tensor
from oipserver.configuration import read_text
from oipserver.errors import ModelLoadError

from .graphs import dense, identity, loaded

CPU = ["CPUExecutionProvider"]


def options(text: str) -> dict[str, Any]:
    return configured_options(read_text(text, lambda _: None), "m")


def parameter(key: str, value: str) -> str:
    return f'parameters {{ key: "{key}" value {{ string_value: "{value}" }} }} '


@pytest.mark.parametrize(
    ("level", "chosen"),
    [("-1", "ORT_ENABLE_BASIC"), ("0", "ORT_ENABLE_ALL"), ("1", "ORT_ENABLE_EXTENDED"), ("2", "ORT_DISABLE_ALL")],
)
def test_graph_levels(tmp_path: Path, level: str, chosen: str) -> None:
    configuration = read_text(f"optimization {{ graph {{ level: {level} }} }}", lambda _: None)
    settings = ModelSettings(
        name="m",
        configuration=configuration,
        parameters={"uri": str(identity(tmp_path / "model.onnx", "FP32", [1]))},
    )
    session = load_graph(settings).sessions[0]
    assert session.get_session_options().graph_optimization_level.name == chosen


def test_parameters() -> None:
    told = options(
        parameter("intra_op_thread_count", "3")
        + parameter("inter_op_thread_count", "0")
        + parameter("execution_mode", "1")
        + parameter("enable_mem_arena", "0")
        + parameter("enable_mem_pattern", "1")
        + parameter("session.use_device_allocator_for_initializers", "1")
        + parameter("memory.enable_memory_arena_shrinkage", "cpu:0")
        + parameter("mine", "is kept")
    )
    assert told["session_options"] == {
        "intra_op_num_threads": 3,
        "execution_mode": "ORT_PARALLEL",
        "enable_cpu_mem_arena": False,
        "enable_mem_pattern": True,
    }
    assert told["session_config_entries"] == {"session.use_device_allocator_for_initializers": "1"}
    assert told["run_config_entries"] == {"memory.enable_memory_arena_shrinkage": "cpu:0"}


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        ("", {}),
        ("instance_group { count: 3 }", {"instances": 3}),
        ("instance_group { kind: KIND_CPU }", {"providers": CPU, "provider_options": [{}], "instances": 1}),
        ("instance_group { count: 2 kind: KIND_CPU } instance_group { kind: KIND_CPU }", {"instances": 3}),
        ("instance_group { count: 2 } instance_group { count: 5 passive: true }", {"instances": 2}),
        ("instance_group { kind: KIND_GPU gpus: [1, 0] count: 2 }", {"devices": [0, 1], "instances": 2}),
        ("instance_group { kind: KIND_GPU }", {"devices": [0], "providers": ["CUDAExecutionProvider", *CPU]}),
    ],
)
def test_instance_groups(groups: str, expected: dict[str, Any]) -> None:
    told = options(groups)
    assert {key: told.get(key) for key in expected} == expected
    if not expected:
        assert {"providers", "devices", "instances"}.isdisjoint(told)


def accelerators(which: str, *told: str) -> str:
    each = " ".join(f"{which}_execution_accelerator {{ {one} }}" for one in told)
    return f"optimization {{ execution_accelerators {{ {each} }} }}"


def test_accelerators() -> None:
    tensorrt = 'name: "tensorrt" parameters { key: "precision_mode" value: "FP16" } '
    more = 'parameters { key: "max_workspace_size_bytes" value: "9" } parameters { key: "trt_dla_core" value: "1" }'
    cuda = 'name: "cuda" parameters { key: "cudnn_conv_algo_search" value: "1" }'
    told = options(accelerators("gpu", tensorrt + more, cuda) + parameter("gpu_mem_limit", "77"))
    rest = ("CUDAExecutionProvider", {"gpu_mem_limit": "77", "cudnn_conv_algo_search": "HEURISTIC"})
    wanted = {"trt_fp16_enable": "1", "trt_max_workspace_size": "9", "trt_dla_core": "1"}
    assert told["gpu_providers"] == [("TensorrtExecutionProvider", wanted), rest]
    assert "providers" not in told
    on_cpu = options(accelerators("cpu", 'name: "openvino"'))
    assert on_cpu["providers"] == ["OpenVINOExecutionProvider", *CPU]


def test_accelerators_are_for_where_a_gpu_is(monkeypatch: pytest.MonkeyPatch) -> None:
    class Runtime:
        providers = ("CUDAExecutionProvider", "CPUExecutionProvider")

        def get_available_providers(self) -> list[str]:
            return list(self.providers)

    monkeypatch.setattr("oipserver_onnx.providers.driver_obstacle", lambda: "")
    wanted = [("TensorrtExecutionProvider", {}), ("CUDAExecutionProvider", {"gpu_mem_limit": "1"})]
    assert default_providers(Runtime(), "m", wanted) == [wanted[1], ("CPUExecutionProvider", {})]
    monkeypatch.setattr(Runtime, "providers", ("CPUExecutionProvider",))
    assert default_providers(Runtime(), "m", wanted) == [("CPUExecutionProvider", {})]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (parameter("execution_mode", "2"), "parameter 'execution_mode' of its configuration cannot be '2'"),
        (parameter("intra_op_thread_count", "many"), "cannot be 'many'"),
        ("instance_group { kind: KIND_CPU } instance_group { kind: KIND_GPU }", "on CPUs and on GPUs at once"),
        (accelerators("gpu", 'name: "xla"'), "unknown execution accelerator 'xla' is requested; known are tensorrt"),
        (accelerators("cpu", 'name: "x"'), "known are openvino"),
        (
            accelerators("gpu", 'name: "tensorrt" parameters { key: "precision_mode" value: "FP8" }'),
            "unknown parameter 'precision_mode' = 'FP8' is provided for TensorRT Execution Accelerator",
        ),
    ],
)
def test_what_cannot_be(text: str, complaint: str) -> None:
    with pytest.raises(ModelLoadError, match=complaint):
        options(text)


def test_options_of_the_settings_win() -> None:
    configuration = read_text("instance_group { count: 2 kind: KIND_GPU }", lambda _: None)
    extra = {"providers": CPU, "instances": 3}
    settings = ModelSettings(name="m", configuration=configuration, parameters={"extra": extra})
    told = read_options(settings)
    assert (told.providers, told.instances, told.devices) == (tuple(CPU), 3, ())


def test_a_session_for_each_device(tmp_path: Path) -> None:
    model = loaded(dense(tmp_path / "model.onnx", 4, 2), {"providers": CPU, "devices": [0, 1], "instances": 2})
    assert model.instances == 4
    x = Tensor.from_array("x", np.ones((3, 4), np.float32))
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda _: model.infer_tensors([x], [], {})[0].array, range(20)))
    for answer in answers:
        np.testing.assert_array_equal(answer, np.full((3, 2), 4))


def test_the_session_with_the_fewest_calls_is_next() -> None:
    taken: list[int] = []

    def session(number: int) -> Any:
        def run(names: list[str], inputs: Any) -> list[Any]:
            taken.append(number)
            if names:
                spread(names[1:], inputs)
            return []

        return run

    spread = SpreadExecution([session(0), session(1), session(2)])
    spread(["a", "b", "c"], [])
    assert taken == [0, 1, 2, 0]
    spread([], [])
    assert taken[-1] == 0
