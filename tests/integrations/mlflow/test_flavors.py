"""Which runtime serves a logged model, and with which of its files: the MLmodel decides, -f overrules."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mlflow", reason="the plugin needs MLflow")
from mlflow.exceptions import MlflowException

from oipserver.integrations.mlflow.artifact import Artifact
from oipserver.integrations.mlflow.bundle import Bundle
from oipserver.integrations.mlflow.flavors import make_bundle
from oipserver.integrations.mlflow.options import read_options
from oipserver.repository.mlflow_lookup import Origin

PYFUNC: dict[str, Any] = {"python_function": {"loader_module": "x"}}


def artifact(folder: Path, flavors: Mapping[str, Any], *files: str, **facts: str) -> Artifact:
    for name in ("MLmodel", "requirements.txt", *files):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("" if name.endswith("pbtxt") else name)
    return Artifact(folder, Origin("models:/m/7", "models:/m/7", "m", "7"), dict(flavors), facts, own=False)


def made(source: Artifact, flavor: str | None = None, **config: Any) -> Bundle:
    return make_bundle(source, "name", "7", flavor, read_options(config))


@pytest.mark.parametrize(
    ("flavors", "files", "implementation", "uri", "extra"),
    [
        (
            {"sklearn": {"pickled_model": "model.skops", "skops_trusted_types": ["a.B"]}},
            ["model.skops"], "sklearn", "./7/model.skops", {"trusted_types": ["a.B"]},
        ),
        (
            {"sklearn": {"pickled_model": "model.pkl", "serialization_format": "cloudpickle"}},
            ["model.pkl"], "sklearn", "./7/model.pkl", {},
        ),
        ({"xgboost": {"data": "model.ubj"}}, ["model.ubj"], "xgboost", "./7/model.ubj", {}),
        ({"xgboost": {"data": "model.xgb"}}, ["model.xgb"], "xgboost", "./7/model.bst", {}),
        ({"lightgbm": {"data": "model.lgb"}}, ["model.lgb"], "lightgbm", "./7/model.txt", {}),
        ({"lightgbm": {"data": "model.pkl"}}, ["model.pkl"], "lightgbm", "./7/model.pkl", {}),
        ({"pytorch": {"model_data": "data"}}, ["data/model.pt2"], "torch", "./7/model.pt2", {}),
    ],
)  # fmt: skip
def test_native_runtimes(
    flavors: dict[str, Any], files: list[str], implementation: str, uri: str, extra: dict[str, Any], tmp_path: Path
) -> None:
    bundle = made(artifact(tmp_path, {**flavors, **PYFUNC}, *files))
    assert bundle.settings is not None
    assert bundle.settings["implementation"] == implementation
    assert bundle.settings["parameters"] == {"uri": uri, "version": "7", "extra": extra}
    assert bundle.files == {uri.removeprefix("./"): tmp_path / files[0]}


@pytest.mark.parametrize(
    ("flavors", "files", "facts"),
    [
        ({}, [], {}),
        ({"lightgbm": {"data": "model.skops"}}, ["model.skops"], {}),
        ({"sklearn": {"pickled_model": "model.skops"}}, ["model.skops"], {"type_hints": "true"}),
        ({"transformers": {"task": "t"}}, ["model/config.json"], {}),
    ],
)
def test_what_only_mlflow_reads(
    flavors: dict[str, Any], files: list[str], facts: dict[str, str], tmp_path: Path
) -> None:
    source = artifact(tmp_path, {**flavors, **PYFUNC}, *files, **facts)
    bundle = made(source)
    assert bundle.flavor == "python_function"
    assert bundle.settings is not None
    assert bundle.settings["implementation"] == "mlflow"
    assert bundle.settings["parameters"]["uri"] == "./7"
    assert set(bundle.files) == {f"7/{name}" for name in ("MLmodel", "requirements.txt", *files)}


def test_pickled_torch_needs_trust(tmp_path: Path) -> None:
    source = artifact(tmp_path, {"pytorch": {"model_data": "data"}, **PYFUNC}, "data/model.pth")
    with pytest.raises(MlflowException, match="-C trust=true"):
        made(source)
    assert made(source, trust="true").flavor == "python_function"
    with pytest.raises(MlflowException, match="deploy it as python_function"):
        made(source, "pytorch", trust="true")


def test_pickles_where_mlflow_forbids_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = artifact(tmp_path, {"sklearn": {"pickled_model": "model.pkl"}, **PYFUNC}, "model.pkl")
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    with pytest.raises(MlflowException, match="log it with skops"):
        made(source)
    assert made(source, trust="true").flavor == "sklearn"


def test_transformers_where_named(tmp_path: Path) -> None:
    files = ["model/config.json", "model/model.safetensors", "components/tokenizer/tokenizer.json"]
    source = artifact(
        tmp_path, {"transformers": {"task": "text-classification", "model_binary": "model"}, **PYFUNC}, *files
    )
    bundle = made(source, "transformers")
    assert bundle.settings is not None
    assert bundle.settings["implementation"] == "huggingface"
    assert bundle.settings["parameters"]["extra"] == {"task": "text-classification"}
    assert set(bundle.files) == {f"7/model/{name}" for name in ("config.json", "model.safetensors", "tokenizer.json")}


# -- onnx and triton ---------------------------------------------------------------------------------------------------


def test_onnx_takes_all_that_lies_beside_it(tmp_path: Path) -> None:
    source = artifact(
        tmp_path, {"onnx": {"data": "net.onnx"}, **PYFUNC}, "net.onnx", "abc.data", "labels.txt", "conda.yaml"
    )
    bundle = made(source)
    assert set(bundle.files) == {"7/net.onnx", "7/abc.data", "labels.txt"}
    assert bundle.settings is None
    configuration = bundle.configuration()
    assert (configuration["name"], configuration["backend"]) == ("name", "onnxruntime")
    assert configuration["default_model_filename"] == "net.onnx"


def test_session_options_of_onnx(tmp_path: Path) -> None:
    options = {
        "execution_mode": "parallel",
        "graph_optimization_level": 2,
        "intra_op_num_threads": 2,
        "extra_session_config": {"session.set_denormal_as_zero": "1"},
    }
    flavor = {"data": "model.onnx", "onnx_session_options": options, "providers": ["CPUExecutionProvider"]}
    configuration = made(artifact(tmp_path, {"onnx": flavor}, "model.onnx")).configuration()
    texts = {key: told["string_value"] for key, told in configuration["parameters"].items() if key != "mlflow"}
    assert texts == {"execution_mode": "1", "intra_op_thread_count": "2", "session.set_denormal_as_zero": "1"}
    assert configuration["optimization"]["graph"]["level"] == 1
    assert configuration["instance_group"] == [{"kind": "KIND_CPU", "count": 1}]


def test_settings_that_only_we_know_are_told_our_way(tmp_path: Path) -> None:
    source = artifact(tmp_path, {"onnx": {"data": "net.onnx"}}, "net.onnx")
    bundle = made(source, **{"parameters.extra.instances": "2", "max_batch_size": "8"})
    assert bundle.settings is not None
    assert bundle.settings["implementation"] == "onnx"
    assert bundle.settings["parameters"] == {"uri": "./7/net.onnx", "version": "7", "extra": {"instances": 2}}
    assert bundle.configuration()["max_batch_size"] == 8
    assert "default_model_filename" not in bundle.configuration()


def test_triton_takes_the_folder_that_was_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    files = ["net/2/model.onnx", "net/10/model.onnx", "net/labels.txt", "net/config.pbxt"]
    source = artifact(tmp_path, {"triton": {"data": "net"}}, *files)
    with caplog.at_level(logging.WARNING):
        bundle = made(source)
    assert "config.pbxt is not read: the name is config.pbtxt" in caplog.text
    assert bundle.version == "10"
    assert set(bundle.files) == {name.removeprefix("net/") for name in files}
    assert bundle.configuration()["backend"] == "onnxruntime"


@pytest.mark.parametrize(
    ("flavor", "files"),
    [
        ({"onnx": {"data": "net.onnx"}}, ["net.onnx", "model-settings.json"]),
        ({"triton": {"data": "net"}}, ["net/1/model.onnx", "net/model-settings.json"]),
    ],
)
def test_settings_beside_the_model_are_no_second_description(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, flavor: dict[str, Any], files: list[str]
) -> None:
    with caplog.at_level(logging.WARNING):
        bundle = made(artifact(tmp_path, flavor, *files))
    assert "model-settings.json is not read; give settings with -C" in caplog.text
    assert [name for name in bundle.files if name.endswith(".json")] == []


@pytest.mark.parametrize(
    ("flavors", "files", "flavor", "words"),
    [
        ({"triton": {"data": "net"}}, ["net/model.onnx"], None, "has no version"),
        ({"triton": {"data": "gone"}}, [], None, "'gone', which is not among its files"),
        ({"triton": {}}, [], None, "names '', which is no file"),
        ({"onnx": {"data": "../x"}}, [], None, "is no file of the model"),
        ({"onnx": {"data": "folder"}}, ["folder/x"], None, "a folder; expected a file"),
        ({"tensorflow": {}}, [], None, "no flavor that can be served: it has tensorflow"),
        ({"sklearn": {"pickled_model": "gone.pkl"}}, [], None, "which is not among its files"),
        (PYFUNC, [], "onnx", "has no flavor 'onnx'"),
        (PYFUNC, [], "bogus", "unknown flavor 'bogus'"),
    ],
)
def test_what_cannot_be_deployed(
    flavors: dict[str, Any], files: list[str], flavor: str | None, words: str, tmp_path: Path
) -> None:
    with pytest.raises(MlflowException, match=words) as raised:
        made(artifact(tmp_path, flavors, *files), flavor)
    assert raised.value.error_code == "INVALID_PARAMETER_VALUE"
