"""What a configuration in Triton's form asks of onnxruntime, as the options of this runtime; opens nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from oipserver.errors import ModelLoadError

from .names import CPU, CUDA, OPENVINO, TENSORRT, Provider

_LEVELS = {-1: "ORT_ENABLE_BASIC", 0: "ORT_ENABLE_ALL", 1: "ORT_ENABLE_EXTENDED", 2: "ORT_DISABLE_ALL"}
_MODES = {"0": "ORT_SEQUENTIAL", "1": "ORT_PARALLEL"}
_SESSION_ENTRIES = ("session.", "optimization.", "ep.")
_RUN_ENTRIES = ("memory.", "gpu_graph_")

# Numbers in configurations, words in onnxruntime.
_SEARCHES = {"0": "EXHAUSTIVE", "1": "HEURISTIC", "2": "DEFAULT"}
_STRATEGIES = {"0": "kNextPowerOfTwo", "1": "kSameAsRequested"}
_CUDA_PARAMETERS = ("cudnn_conv_algo_search", "gpu_mem_limit", "arena_extend_strategy", "do_copy_in_default_stream")
_TENSORRT_PARAMETERS = {
    "max_workspace_size_bytes": "trt_max_workspace_size",
    "int8_calibration_table_name": "trt_int8_calibration_table_name",
    "int8_use_native_calibration_table": "trt_int8_use_native_calibration_table",
    "minimum_subgraph_size": "trt_min_subgraph_size",
    "max_partition_iterations": "trt_max_partition_iterations",
}
_PRECISIONS: dict[str, dict[str, str]] = {
    "FP32": {},
    "FP16": {"trt_fp16_enable": "1"},
    "INT8": {"trt_int8_enable": "1"},
}


def configured_options(configuration: Mapping[str, Any], model: str) -> dict[str, Any]:
    """Keys as in ``parameters.extra``, and ``gpu_providers``: providers for where a GPU is used.

    Raises ModelLoadError naming a parameter that cannot be used, and what was expected.
    """
    parameters = {key: told["string_value"] for key, told in configuration.get("parameters", {}).items()}
    cuda = _cuda_options({key: parameters[key] for key in _CUDA_PARAMETERS if key in parameters})
    gpu, cpu = _accelerators(configuration, cuda, model)
    return {
        **_session_options(configuration, parameters, model),
        **_placement(configuration.get("instance_group", ()), gpu, cpu, model),
        "gpu_providers": gpu,
    }


def _session_options(configuration: Mapping[str, Any], parameters: Mapping[str, str], model: str) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if (graph := configuration.get("optimization", {}).get("graph")) is not None:
        options["graph_optimization_level"] = _LEVELS.get(graph["level"], "ORT_ENABLE_ALL")
    kinds: dict[str, tuple[str, Callable[[str], Any]]] = {
        "intra_op_thread_count": ("intra_op_num_threads", int),
        "inter_op_thread_count": ("inter_op_num_threads", int),
        "execution_mode": ("execution_mode", lambda text: _MODES[text]),
        "enable_mem_arena": ("enable_cpu_mem_arena", _boolean),
        "enable_mem_pattern": ("enable_mem_pattern", _boolean),
    }
    for key, (option, kind) in kinds.items():
        if key in parameters:
            try:
                value = kind(parameters[key])
            except (ValueError, KeyError):
                raise ModelLoadError(
                    f"model '{model}': parameter '{key}' of its configuration cannot be '{parameters[key]}'"
                ) from None
            if option != "intra_op_num_threads" or value:  # 0 threads mean the server's own choice
                options[option] = value
    if options.get("inter_op_num_threads") == 0:
        del options["inter_op_num_threads"]
    return {
        "session_options": options,
        "session_config_entries": {k: v for k, v in parameters.items() if k.startswith(_SESSION_ENTRIES)},
        "run_config_entries": {k: v for k, v in parameters.items() if k.startswith(_RUN_ENTRIES)},
    }


def _boolean(text: str) -> bool:
    return {"0": False, "1": True, "false": False, "true": True}[text.lower()]


# -- where it runs -----------------------------------------------------------------------------------------------------


def _placement(groups: Any, gpu: list[Provider], cpu: list[Provider], model: str) -> dict[str, Any]:
    """Providers, devices and instances of the instance groups that do anything."""
    active = [group for group in groups if not group.get("passive")]
    kinds = {group.get("kind", "KIND_AUTO") for group in active} - {"KIND_AUTO", "KIND_MODEL"}
    if len(kinds) > 1:
        raise ModelLoadError(f"model '{model}': instance groups on CPUs and on GPUs at once are not supported")
    devices = sorted({device for group in active for device in group.get("gpus", ())})
    on_gpu = kinds == {"KIND_GPU"} or bool(devices)
    placement: dict[str, Any] = {}
    if on_gpu:
        placement["providers"], placement["provider_options"] = _split([*gpu, (CPU, {})])
        placement["devices"] = devices or [0]
    elif cpu or kinds == {"KIND_CPU"}:
        placement["providers"], placement["provider_options"] = _split([*cpu, (CPU, {})])
    if active:
        placement["instances"] = max(1, sum(max(1, group.get("count", 1)) for group in active))
    return placement


def _split(providers: list[Provider]) -> tuple[list[str], list[dict[str, str]]]:
    return [name for name, _ in providers], [options for _, options in providers]


def _accelerators(
    configuration: Mapping[str, Any], cuda: dict[str, str], model: str
) -> tuple[list[Provider], list[Provider]]:
    """Providers for GPUs, CUDA at their end, and such for CPUs."""
    told = configuration.get("optimization", {}).get("execution_accelerators", {})
    gpu: list[Provider] = []
    for each in told.get("gpu_execution_accelerator", ()):
        if each["name"] == "tensorrt":
            gpu.append((TENSORRT, _tensorrt_options(each.get("parameters", {}), model)))
        elif each["name"] == "cuda":
            cuda = {**cuda, **_cuda_options(each.get("parameters", {}))}
        else:
            raise _unknown_accelerator(model, each["name"], "tensorrt, cuda")
    cpu: list[Provider] = []
    for each in told.get("cpu_execution_accelerator", ()):
        if each["name"] != "openvino":
            raise _unknown_accelerator(model, each["name"], "openvino")
        cpu.append((OPENVINO, dict(each.get("parameters", {}))))
    return [*gpu, (CUDA, cuda)], cpu


def _unknown_accelerator(model: str, name: str, known: str) -> ModelLoadError:
    return ModelLoadError(f"model '{model}': unknown execution accelerator '{name}' is requested; known are {known}")


def _cuda_options(parameters: Mapping[str, str]) -> dict[str, str]:
    options = dict(parameters)
    for key, words in (("cudnn_conv_algo_search", _SEARCHES), ("arena_extend_strategy", _STRATEGIES)):
        if key in options:
            options[key] = words.get(options[key], options[key])
    return options


def _tensorrt_options(parameters: Mapping[str, str], model: str) -> dict[str, str]:
    options: dict[str, str] = {}
    for key, value in parameters.items():
        if key == "precision_mode" and value in _PRECISIONS:
            options |= _PRECISIONS[value]
        elif key in _TENSORRT_PARAMETERS:
            options[_TENSORRT_PARAMETERS[key]] = value
        elif key.startswith("trt_"):
            options[key] = value
        else:
            raise ModelLoadError(
                f"model '{model}': unknown parameter '{key}' = '{value}' is provided for TensorRT Execution Accelerator"
            )
    return options
