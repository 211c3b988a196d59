"""model-settings.json: the file over the environment over the folder, paths absolute, every mistake told."""

import json
from pathlib import Path

import pytest

from oipserver.errors import InvalidArgumentError
from oipserver.settings import Environment, ModelSettings, load_model_settings, model_settings_from_environment


def load(folder: Path, content: object, variables: dict[str, str] | None = None) -> tuple[ModelSettings, list[str]]:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "model-settings.json"
    file.write_text(json.dumps(content))
    warnings: list[str] = []
    settings = load_model_settings(file, Environment(variables or {}), warnings.append)
    assert settings.source == str(file)
    return settings, [warning.removeprefix(f"{file}: ") for warning in warnings]


def test_the_file_wins_over_the_environment(tmp_path: Path) -> None:
    variables = {
        "MLSERVER_MODEL_NAME": "env",
        "MLSERVER_MODEL_IMPLEMENTATION": "env.Model",
        "MLSERVER_MODEL_VERSION": "v99",
        "MLSERVER_MODEL_MAX_BATCH_SIZE": "8",
        "OIPSERVER_MODEL_MAX_BATCH_SIZE": "16",
        "MLSERVER_MODEL_PREFERRED_BATCH_SIZE": "4,8",
        "MLSERVER_MODEL_CONTENT_TYPE": "np",
    }
    content = {"name": "file", "implementation": "file.Model", "parameters": {"version": "1"}}
    settings, warnings = load(tmp_path, content, variables)
    assert (settings.name, settings.implementation, settings.version) == ("file", "file.Model", "1")
    assert (settings.max_batch_size, settings.preferred_batch_size) == (16, [4, 8])
    assert settings.parameters.content_type == "np"
    assert warnings == []


def test_parameters_of_the_environment_as_one_object(tmp_path: Path) -> None:
    settings, _ = load(tmp_path, {"name": "m"}, {"MLSERVER_MODEL_PARAMETERS": '{"version": 3, "own": "kept"}'})
    assert settings.version == "3"
    assert settings.parameters.model_extra == {"own": "kept"}


def test_settings_of_a_runtime_in_the_environment(tmp_path: Path) -> None:
    variables = {
        "MLSERVER_MODEL_HUGGINGFACE_TASK": "text-classification",
        "MLSERVER_MODEL_HUGGINGFACE_DEVICE": "-1",
        "MLSERVER_MODEL_ONNX_PROVIDERS": '["CPUExecutionProvider"]',
    }
    content = {"implementation": "mlserver_huggingface.HuggingFaceRuntime", "parameters": {"extra": {"task": "file"}}}
    settings, _ = load(tmp_path / "m", content, variables)
    assert settings.parameters.extra == {"task": "file", "device": -1}
    settings, _ = load(tmp_path / "n", {"implementation": "onnx"}, variables)
    assert settings.parameters.extra == {"providers": ["CPUExecutionProvider"]}


@pytest.mark.parametrize(
    ("folder", "version", "name"),
    [("digits", None, "digits"), ("digits/1", "1", "digits"), ("digits/1", None, "1"), ("digits", "1", "digits")],
)
def test_the_folder_gives_the_name(tmp_path: Path, folder: str, version: str | None, name: str) -> None:
    settings, _ = load(tmp_path / folder, {"implementation": "x.Y", "parameters": {"version": version}})
    assert settings.name == name


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        (None, "DIR/m"),
        ("./model.onnx", "DIR/m/model.onnx"),
        ("weights/../model.bin", "DIR/m/model.bin"),
        ("../shared/model.bin", "DIR/shared/model.bin"),
        ("/srv/model.bin", "/srv/model.bin"),
        ("file:///srv/my%20model.bin", "/srv/my model.bin"),
        ("s3://bucket/model", "s3://bucket/model"),
        ("models:/digits/1", "models:/digits/1"),
    ],
)
def test_uris_are_absolute(tmp_path: Path, uri: str | None, expected: str) -> None:
    settings, _ = load(tmp_path / "m", {"parameters": {"uri": uri, "environment_tarball": "env.tar.gz"}})
    assert settings.parameters.uri == expected.replace("DIR", str(tmp_path))
    assert settings.parameters.environment_tarball == str(tmp_path / "m" / "env.tar.gz")


def test_a_relative_folder_still_gives_absolute_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model-settings.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    settings = load_model_settings(Path("model-settings.json"), Environment({}), print)
    assert (settings.name, settings.parameters.uri) == (tmp_path.name, str(tmp_path))
    assert settings.source == str(tmp_path / "model-settings.json")


@pytest.mark.parametrize(
    ("content", "warning"),
    [
        ({"max_batch_siz": 3}, "unknown key 'max_batch_siz'; did you mean 'max_batch_size'?"),
        ({"version": "1"}, "unknown key 'version'; it belongs into 'parameters'"),
        ({"warm_workers": True}, "'warm_workers' is known from MLServer and has no effect here"),
        ({"parameters": {"verison": "1"}}, "parameter 'verison' is left to the model; did you mean 'version'?"),
    ],
)
def test_keys_without_effect_warn(tmp_path: Path, content: object, warning: str) -> None:
    _, (line,) = load(tmp_path, content)
    assert line.startswith(warning)


def test_parameters_of_the_model_itself_do_not_warn(tmp_path: Path) -> None:
    settings, warnings = load(tmp_path, {"$schema": "x", "parameters": {"threshold": 0.5}})
    assert settings.parameters.model_extra == {"threshold": 0.5}
    assert warnings == []


@pytest.mark.parametrize(
    ("content", "variables", "message"),
    [
        ({"max_batch_size": "many"}, {}, "max_batch_size: expected an integer, got 'many' (from FILE)"),
        ({"parameters": []}, {}, "parameters: expected an object, got a list (from FILE)"),
        ({"parameters": {"extra": 1}}, {}, "parameters.extra: expected an object, got 1 (from FILE)"),
        ({"inputs": [{"name": "x"}]}, {}, "inputs.0.datatype: this key is required (from FILE); "),
        (
            {},
            {"MLSERVER_MODEL_MAX_BATCH_SIZE": "many"},
            "max_batch_size: expected an integer, got 'many' (from MLSERVER_MODEL_MAX_BATCH_SIZE)",
        ),
        ({"name": ["m"]}, {}, 'name: expected a string, got ["m"] (from FILE)'),
    ],
)
def test_wrong_values(tmp_path: Path, content: object, variables: dict[str, str], message: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        load(tmp_path, content, variables)
    assert caught.value.message.replace(str(tmp_path / "model-settings.json"), "FILE").startswith(message)


def test_a_model_from_the_environment_alone(tmp_path: Path) -> None:
    variables = {
        "MLSERVER_MODEL_IMPLEMENTATION": "mlserver_sklearn.SKLearnModel",
        "MLSERVER_MODEL_NAME": "iris",
        "MLSERVER_MODEL_URI": "/mnt/models",
    }
    settings = model_settings_from_environment(tmp_path, Environment(variables))
    assert settings is not None
    assert (settings.name, settings.parameters.uri, settings.source) == ("iris", "/mnt/models", None)
    del variables["MLSERVER_MODEL_IMPLEMENTATION"]
    assert model_settings_from_environment(tmp_path, Environment(variables)) is None
