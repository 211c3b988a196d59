"""What a configuration may say, and which words say that it may not."""

from __future__ import annotations

import pytest

from oipserver.configuration import check_configuration, fill_backend, read_text
from oipserver.errors import InvalidArgumentError

INPUT = 'input { name: "x" data_type: TYPE_FP32 dims: 4 '
STEP = "input_map { key: 'a' value: 'b' } output_map { key: 'a' value: 'b' }"
ENSEMBLE = 'platform: "ensemble" input { name: "x" data_type: TYPE_FP32 dims: 1 } '
OUTPUT = 'output { name: "y" data_type: TYPE_FP32 dims: 1 } '


def complaint(text: str, *, complete: bool = True) -> str:
    configuration = read_text(f'name: "m" {text}', lambda _: None)
    try:
        check_configuration(configuration, complete=complete)
    except InvalidArgumentError as error:
        return error.message
    return ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("max_batch_size: -1", "'max_batch_size' must be non-negative value for m"),
        ("ensemble_scheduling { }", "ensemble scheduling cannot be set for model 'm' whose platform is not ensemble"),
        (ENSEMBLE, "ensemble scheduling must be set for ensemble 'm' whose platform is ensemble"),
        (ENSEMBLE + "ensemble_scheduling { }", "must specify 'step' for ensemble 'm'"),
        (ENSEMBLE + "ensemble_scheduling { step { model_name: 'a' } }", "must specify 'output' for ensemble 'm'"),
        (ENSEMBLE + OUTPUT + "ensemble_scheduling { step { } }", "must specify 'model_name' in step 0"),
        (ENSEMBLE + OUTPUT + "ensemble_scheduling { step { model_name: 'a' } }", "must specify 'input_map' in step 0"),
        (
            ENSEMBLE + OUTPUT + "instance_group { } ensemble_scheduling { step { model_name: 'a' " + STEP + " } }",
            "instance group should not be specified for ensemble 'm'",
        ),
        (
            ENSEMBLE + OUTPUT + "optimization { } ensemble_scheduling { step { model_name: 'a' " + STEP + " } }",
            "optimization should not be specified for ensemble 'm'",
        ),
        ("version_policy { latest { } }", "'num_versions' of 1 or more for m"),
        ("version_policy { specific { } }", "must have one version or more for m"),
        ("version_policy { specific { versions: -3 } }", "must have versions of 0 or more for m"),
        (f"{INPUT}}} {INPUT}}}", "model input 'x' is specified more than once for m"),
        ("input { data_type: TYPE_FP32 dims: 1 }", "model input must specify 'name'"),
        ("output { name: 'y' dims: 1 }", "model output must specify 'data_type' for output 'y'"),
        ("input { name: 'x' data_type: TYPE_FP32 }", "model input must specify 'dims' for input 'x'"),
        (
            "input { name: 'x' data_type: TYPE_FP32 dims: [0] }",
            "model input dimension must be integer >= 1, or -1 to indicate a variable-size dimension",
        ),
        ("output { name: 'y' data_type: TYPE_FP32 dims: [-2] }", "model output dimension must be integer >= 1, or -1"),
        (INPUT + "format: FORMAT_NHWC }", "model input NHWC/NCHW require 3 dims"),
        (INPUT + "is_shape_tensor: true }", "shape tensors are not supported by backend"),
        (INPUT + "reshape { } }", "cannot have empty reshape for non-batching model"),
        ("max_batch_size: 2 " + INPUT + "reshape { shape: 0 } }", "reshape dimensions must be integer >= 1, or -1"),
        ("max_batch_size: 2 " + INPUT + "reshape { } }", "model input has different size for dims and reshape"),
        (INPUT + "reshape { shape: -1 } }", "different number of variable-size dimensions for dims and reshape"),
        (
            "input { name: 'x' data_type: TYPE_FP32 dims: [2, -1, 3] reshape { shape: [3, -1, 2] } }",
            "model input has different size for dims and reshape",
        ),
        ("max_batch_size: 4 dynamic_batching { preferred_batch_size: 0 }", "preferred size must be positive for m"),
        ("max_batch_size: 4 dynamic_batching { preferred_batch_size: 8 }", "preferred size must be <= max batch size"),
        ("dynamic_batching { priority_levels: 2 }", "default priority level must be in range [1, 2] for m"),
        (
            "dynamic_batching { priority_levels: 2 default_priority_level: 3 }",
            "default priority level must be in range [1, 2]",
        ),
        (
            "dynamic_batching { priority_levels: 2 default_priority_level: 1 preserve_ordering: true }",
            "Only one priority level is allowed when 'preserve_ordering' is true for m",
        ),
        (
            "dynamic_batching { priority_queue_policy { key: 1 value { } } }",
            "priority queue policy must have priority level in range [1, 0]",
        ),
        ("sequence_batching { oldest { max_candidate_sequences: -1 } }", "must be 0 or more"),
        ("sequence_batching { oldest { preferred_batch_size: 2 } }", "sequence batching preferred size must be <="),
        ("sequence_batching { control_input { } }", "control tensor must specify 'name' for m"),
        ("sequence_batching { control_input { name: 'c' } }", "'c' must specify 'control' for m"),
        (
            "sequence_batching { control_input { name: 'c' control { } control { } } }",
            "sequence batching specifies multiple CONTROL_SEQUENCE_START tensors for m",
        ),
        ("sequence_batching { state { input_name: 'i' } }", "must specify 'input_name' and 'output_name' for m"),
        ("sequence_batching { state { input_name: 'i' output_name: 'o' } }", "must specify 'dims' and 'data_type'"),
        ("instance_group { count: -1 }", "must have a count of 0 or more, got -1"),
        ("instance_group { kind: KIND_CPU gpus: 0 }", "has kind KIND_CPU but specifies one or more GPUs"),
        ("instance_group { kind: KIND_GPU gpus: -1 }", "specifies a GPU below 0"),
        ("model_warmup { name: 'w' batch_size: 2 }", "has batch size 2, but the model's largest is 0"),
        ("model_warmup { inputs { key: 'x' value { } } }", "must specify 'data_type' for input 'x'"),
        (
            "model_warmup { inputs { key: 'x' value { data_type: TYPE_FP32 dims: -1 zero_data: true } } }",
            "must specify dims of 0 or more for input 'x'",
        ),
        (
            "model_warmup { inputs { key: 'x' value { data_type: TYPE_FP32 } } }",
            "must specify one of zero_data, random_data and input_data_file",
        ),
        ("response_cache { enable: true } sequence_batching { }", "not supported for model 'm' with sequence batching"),
        (
            "response_cache { enable: true } model_transaction_policy { decoupled: true }",
            "not supported for model 'm' with decoupled",
        ),
    ],
)
def test_broken_rules(text: str, expected: str) -> None:
    assert expected in complaint(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        INPUT + "reshape { shape: [2, 2] } }",
        "max_batch_size: 1 input { name: 'x' data_type: TYPE_FP32 dims: 1 reshape { } }",
        "input { name: 'x' data_type: TYPE_FP32 dims: [4, -1, 3] reshape { shape: [2, 2, -1, 3, 1] } }",
        "max_batch_size: 4 dynamic_batching { preferred_batch_size: [2, 4] priority_levels: 2 default_priority_level: 2"
        " priority_queue_policy { key: 2 value { } } }",
        "response_cache { enable: false } sequence_batching { }",
        ENSEMBLE + OUTPUT + "ensemble_scheduling { step { model_name: 'a' " + STEP + " } }",
        "version_policy { all { } } instance_group { kind: KIND_GPU gpus: [0, 1] }",
    ],
)
def test_kept_rules(text: str) -> None:
    assert complaint(text) == ""


def test_sizes_wait_for_a_batch_size_that_may_come_yet() -> None:
    text = "dynamic_batching { preferred_batch_size: 4 }"
    assert "must be <= max batch size" in complaint(text)
    assert complaint(text, complete=False) == ""
    assert complaint("max_batch_size: 2 " + text, complete=False) != ""


# -- backends ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "files", "expected"),
    [
        ("", {"model.onnx"}, ("onnxruntime_onnx", "onnxruntime", "model.onnx")),
        ("", {"model.py"}, ("", "python", "model.py")),
        ("", {"model.py", "model.pt"}, ("pytorch_libtorch", "pytorch", "model.pt")),
        ("platform: 'onnxruntime_onnx'", set(), ("onnxruntime_onnx", "onnxruntime", "model.onnx")),
        ("backend: 'onnxruntime'", {"model.py"}, ("onnxruntime_onnx", "onnxruntime", "model.onnx")),
        ("backend: 'python' default_model_filename: 'my.py'", set(), ("", "python", "my.py")),
        ("default_model_filename: 'model.onnx'", set(), ("onnxruntime_onnx", "onnxruntime", "model.onnx")),
        (
            "platform: 'onnxruntime_onnx' backend: 'onnxruntime'",
            set(),
            ("onnxruntime_onnx", "onnxruntime", "model.onnx"),
        ),
        ("backend: 'identity'", set(), ("", "identity", "")),
        ("platform: 'ensemble'", set(), ("ensemble", "", "")),
    ],
)
def test_backends(text: str, files: set[str], expected: tuple[str, str, str]) -> None:
    told = read_text(f"name: 'm' {text}", lambda _: None)
    fill_backend(told, files)
    assert (told["platform"], told["backend"], told["default_model_filename"]) == expected


@pytest.mark.parametrize(
    ("text", "files", "expected"),
    [
        ("backend: 'vllm'", set(), "needs backend 'vllm', which is not supported; supported are ensemble, identity"),
        ("platform: 'tensorrt_plan'", set(), "needs backend 'tensorrt', which is not supported"),
        ("", {"model.plan"}, "needs backend 'tensorrt', which is not supported"),
        ("platform: 'nothing'", set(), "needs backend 'nothing'"),
        ("backend: 'python' platform: 'onnxruntime_onnx'", set(), "unexpected 'platform' and 'backend' pair, got:onnx"),
        ("", set(), "Invalid model name: Could not determine backend for model 'm' with no backend in model config"),
    ],
)
def test_backends_that_are_not_here(text: str, files: set[str], expected: str) -> None:
    with pytest.raises(InvalidArgumentError) as failure:
        fill_backend(read_text(f"name: 'm' {text}", lambda _: None), files)
    assert expected in failure.value.message


def test_nothing_is_guessed_when_strict() -> None:
    with pytest.raises(InvalidArgumentError, match="must specify 'platform' or 'backend' for 'm'"):
        fill_backend(read_text("name: 'm'", lambda _: None), {"model.onnx"}, strict=True)
