"""Folders laid out for Triton: which are models, which of their versions are served, and as what."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from oipserver.errors import InvalidArgumentError
from oipserver.repository import FileModelRepository, Scan, models_below
from oipserver.settings import Environment, Settings


def touch(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def scan(root: Path, **settings: object) -> Scan:
    return asyncio.run(models_below(Settings.model_validate(settings), root).scan())


def found(root: Path, **settings: object) -> list[tuple[str, str]]:
    result = scan(root, **settings)
    assert result.problems == []
    return [(model.name, model.version) for model in result.models]


def test_both_layouts_in_one_folder(tmp_path: Path) -> None:
    touch(tmp_path / "a" / "1" / "model.onnx")
    touch(tmp_path / "b" / "config.pbtxt", "backend: 'python'")
    touch(tmp_path / "b" / "1" / "model.py")
    touch(tmp_path / "c" / "model-settings.json", '{"implementation": "x.Y"}')
    touch(tmp_path / "d.onnx")
    assert found(tmp_path) == [("d", ""), ("a", "1"), ("b", "1"), ("c", "")]


def test_settings_files_win(tmp_path: Path) -> None:
    touch(tmp_path / "a" / "model-settings.json", '{"implementation": "x.Y"}')
    touch(tmp_path / "a" / "config.pbtxt", "backend: 'python'")
    touch(tmp_path / "a" / "1" / "model.py")
    told = {"name": "b", "implementation": "x.Y", "parameters": {"version": "7"}}
    touch(tmp_path / "b" / "1" / "model-settings.json", json.dumps(told))
    touch(tmp_path / "b" / "1" / "model.py")
    assert found(tmp_path) == [("a", ""), ("b", "7")]


@pytest.mark.parametrize(
    ("policy", "versions"),
    [
        ("", ["12"]),
        ("version_policy { latest { num_versions: 2 } }", ["3", "12"]),
        ("version_policy { latest { num_versions: 9 } }", ["0", "3", "12"]),
        ("version_policy { all { } }", ["0", "3", "12"]),
        ("version_policy { specific { versions: [3, 0] } }", ["0", "3"]),
        ("version_policy { specific { versions: [3, 99] } }", ["3"]),
    ],
)
def test_version_policies(tmp_path: Path, policy: str, versions: list[str]) -> None:
    for folder in ("0", "3", "12", "05", "1abc", "warmup", "configs", "initial_state", "-1", "\u0663"):
        touch(tmp_path / "m" / folder / "model.onnx")
    touch(tmp_path / "m" / "config.pbtxt", policy)
    assert found(tmp_path) == [("m", version) for version in versions]


def test_versions_without_a_configuration(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for folder in ("1", "2", "03"):
        touch(tmp_path / "m" / folder / "model.onnx")
    assert found(tmp_path) == [("m", "2")]
    assert "version folder '03' is ignored" in caplog.text


def test_policies_that_leave_nothing(tmp_path: Path) -> None:
    touch(tmp_path / "m" / "config.pbtxt", "version_policy { specific { versions: 7 } }")
    touch(tmp_path / "m" / "1" / "model.onnx")
    (problem,) = scan(tmp_path).problems
    assert "at least one version must be available under the version policy of model 'm'; present are 1" in problem
    touch(tmp_path / "n" / "config.pbtxt", "backend: 'onnxruntime'")
    assert "model 'n' has no version" in scan(tmp_path).problems[1]


@pytest.mark.parametrize("name", ["..my_model", "...", "model..1", ".hidden", " m", "m\u00e4", "a:b"])
def test_names(tmp_path: Path, name: str) -> None:
    touch(tmp_path / name / "1" / "model.onnx")
    assert found(tmp_path) == [(name, "1")]


def test_hidden_folders_are_looked_into_no_further(tmp_path: Path) -> None:
    touch(tmp_path / ".git" / "inner" / "1" / "model.onnx")
    touch(tmp_path / ".cache" / "model-settings.json", '{"implementation": "x.Y"}')
    assert found(tmp_path) == []


def test_what_lies_in_a_model_is_its_own(tmp_path: Path) -> None:
    touch(tmp_path / "m" / "config.pbtxt", "backend: 'python'")
    touch(tmp_path / "m" / "1" / "model.py")
    touch(tmp_path / "m" / "1" / "weights" / "other.onnx")
    touch(tmp_path / "m" / "1" / "inner" / "1" / "model.onnx")
    touch(tmp_path / "m" / "extra" / "some.onnx")
    assert found(tmp_path) == [("m", "1")]


def test_what_settings_come_to(tmp_path: Path) -> None:
    touch(tmp_path / "m" / "config.pbtxt", "default_model_filename: 'net.onnx' backend: 'onnxruntime'\nnew_field: 1")
    touch(tmp_path / "m" / "2" / "net.onnx")
    (model,) = scan(tmp_path).models
    assert (model.implementation, model.platform) == ("onnx", "onnxruntime_onnx")
    assert model.parameters.uri == str(tmp_path / "m" / "2" / "net.onnx")
    assert model.folder == tmp_path / "m"
    assert model.configuration is not None
    assert model.configuration["name"] == "m"


def test_models_that_need_no_files(tmp_path: Path) -> None:
    touch(tmp_path / "i" / "config.pbtxt", "backend: 'identity'")
    tensors = " ".join(f"{side} {{ name: 'x' data_type: TYPE_FP32 dims: 1 }}" for side in ("input", "output"))
    maps = "input_map { key: 'x' value: 'x' } output_map { key: 'x' value: 'x' }"
    steps = f"ensemble_scheduling {{ step {{ model_name: 'i' {maps} }} }}"
    touch(tmp_path / "e" / "config.pbtxt", f"platform: 'ensemble' {tensors} {steps}")
    assert found(tmp_path) == [("e", "1"), ("i", "1")]


def test_another_configuration_by_name(tmp_path: Path) -> None:
    touch(tmp_path / "m" / "config.pbtxt", "max_batch_size: 1")
    touch(tmp_path / "m" / "configs" / "big.pbtxt", "max_batch_size: 64")
    touch(tmp_path / "m" / "1" / "model.onnx")
    for name, size in ((None, 1), ("big", 64), ("other", 1)):
        (model,) = scan(tmp_path, model_config_name=name).models
        assert (model.configuration or {})["max_batch_size"] == size


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("name: 'other'", "unexpected directory name 'm' for model 'other', directory name must equal model name"),
        ("backend: 'vllm'", "needs backend 'vllm', which is not supported; supported are ensemble, identity, onnx"),
        ("max_batch_size: -1", "'max_batch_size' must be non-negative value for m"),
        ("max_batch_size: x", "cannot read config.pbtxt: 1:17"),
        ("default_model_filename: '../../secret'", "leads out of"),
        ("default_model_filename: '/etc/passwd'", "leads out of"),
    ],
)
def test_problems_name_the_model(tmp_path: Path, text: str, complaint: str) -> None:
    touch(tmp_path / "m" / "config.pbtxt", text)
    touch(tmp_path / "m" / "1" / "model.onnx")
    touch(tmp_path / "good" / "1" / "model.onnx")
    result = scan(tmp_path)
    assert [model.name for model in result.models] == ["good"]
    (problem,) = result.problems
    assert complaint in problem
    with pytest.raises(InvalidArgumentError, match="failed to load 'm'"):
        result.of("m")


def test_nothing_is_guessed_when_completing_is_off(tmp_path: Path) -> None:
    touch(tmp_path / "m" / "1" / "model.onnx")
    touch(tmp_path / "n" / "1" / "model.onnx")
    touch(tmp_path / "n" / "config.pbtxt")
    for switch in ("disable_auto_complete_config", "strict_model_config"):
        without, empty = scan(tmp_path, **{switch: True}).problems
        assert "model 'm' has no config.pbtxt, and disable_auto_complete_config is set" in without
        assert "must specify 'platform' or 'backend' for 'n'" in empty


def test_the_environment_describes_what_no_file_does(tmp_path: Path) -> None:
    touch(tmp_path / "m" / "1" / "model.onnx")
    variables = Environment({"MLSERVER_MODEL_IMPLEMENTATION": "x.Y", "MLSERVER_MODEL_NAME": "kserve"})

    def names() -> list[str]:
        return asyncio.run(FileModelRepository(tmp_path, variables).scan()).names()

    assert names() == ["kserve"]
    touch(tmp_path / "m" / "config.pbtxt")
    assert names() == ["m"]


def test_a_configuration_in_a_settings_file(tmp_path: Path) -> None:
    told = {"implementation": "onnx", "configuration": {"max_batch_size": "8", "sequence_batching": {}}}
    touch(tmp_path / "m" / "model-settings.json", json.dumps(told))
    (model,) = scan(tmp_path).models
    assert model.configuration is not None
    assert (model.configuration["max_batch_size"], model.configuration["backend"]) == (8, "onnxruntime")
    assert model.stateful
    assert model.folder == tmp_path / "m"
    told["configuration"] = {"name": "another"}
    touch(tmp_path / "m" / "model-settings.json", json.dumps(told))
    assert "configuration is that of 'another', not of 'm'" in scan(tmp_path).problems[0]
