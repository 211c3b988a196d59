"""What MLflow's onnx flavor says of its session, as a configuration in Triton's form; opens nothing."""

from __future__ import annotations

from typing import Any

# onnxruntime's numbers of levels, and the configuration's: 0 is onnxruntime's default, all of them.
_LEVELS = {0: 2, 1: -1, 2: 1}
_COUNTS = {"intra_op_num_threads": "intra_op_thread_count", "inter_op_num_threads": "inter_op_thread_count"}
_MODES = {"SEQUENTIAL": "0", "PARALLEL": "1"}
_CPU = "CPUExecutionProvider"


def onnx_configuration(flavor: dict[str, Any]) -> dict[str, Any]:
    """The part of a configuration that the session options and providers of ``flavor`` come to.

    Of providers only the wish for the CPU alone counts: the list that MLflow writes by itself begins with CUDA, and
    where no provider is named the server takes CUDA where it works.
    """
    options = flavor.get("onnx_session_options") or {}
    parameters: dict[str, str] = {}
    for key, name in _COUNTS.items():
        if options.get(key):
            parameters[name] = str(options[key])
    mode = str(options.get("execution_mode") or "").upper()
    if mode in _MODES:
        parameters["execution_mode"] = _MODES[mode]
    for key, value in (options.get("extra_session_config") or {}).items():
        parameters[str(key)] = str(value)
    told: dict[str, Any] = {"parameters": parameters} if parameters else {}
    level = options.get("graph_optimization_level")
    if level in _LEVELS:
        told["optimization"] = {"graph": {"level": _LEVELS[level]}}
    providers = flavor.get("providers")
    if providers in (_CPU, [_CPU]):
        told["instance_group"] = [{"kind": "KIND_CPU", "count": 1}]
    return told
