"""Command line over environment over file over default, and every complaint on the way."""

import json
from itertools import product
from pathlib import Path

import pytest

from oipserver.errors import InvalidArgumentError
from oipserver.settings import Environment, ModelParameters, ModelSettings, Resolved, Settings, resolve_settings

OPTION, OURS, MLSERVER, FILE = "--http-port", "OIPSERVER_HTTP_PORT", "MLSERVER_HTTP_PORT", "settings.json"


def resolved(
    tmp_path: Path, file: object = None, variables: dict[str, str] | None = None, **options: object
) -> Resolved:
    if file is not None:
        (tmp_path / "settings.json").write_text(json.dumps(file))
    return resolve_settings(tmp_path, options, Environment(variables or {}))


def refused(tmp_path: Path, file: object = None, variables: dict[str, str] | None = None, **options: object) -> str:
    with pytest.raises(InvalidArgumentError) as caught:
        resolved(tmp_path, file, variables, **options)
    assert "\n" not in caught.value.message
    return caught.value.message.replace(str(tmp_path), "DIR")


@pytest.mark.parametrize("given", list(product([False, True], repeat=4)))
def test_precedence(tmp_path: Path, given: tuple[bool, ...]) -> None:
    values = {OPTION: 1, OURS: 2, MLSERVER: 3, FILE: 4}
    present = {source: value for (source, value), here in zip(values.items(), given, strict=True) if here}
    result = resolved(
        tmp_path,
        {"http_port": 4} if FILE in present else None,
        {name: str(present[name]) for name in (OURS, MLSERVER) if name in present},
        **({"http_port": "1"} if OPTION in present else {}),
    )
    source, value = next(iter(present.items()), ("default", 8080))
    assert result.settings.http_port == value
    assert result.sources["http_port"] == (str(tmp_path / FILE) if source == FILE else source)
    assert result.sources["grpc_port"] == "default"
    assert result.warnings == ()


def test_every_field_has_a_source(tmp_path: Path) -> None:
    assert set(resolved(tmp_path).sources) == set(Settings.model_fields)


def test_no_variable_means_two_things() -> None:
    models = {f"model_{field}" for kind in (ModelSettings, ModelParameters) for field in kind.model_fields}
    assert not models & set(Settings.model_fields)


def test_names_in_any_case_and_text_is_coerced(tmp_path: Path) -> None:
    variables = {
        "oipserver_debug": "true",
        "MlServer_Parallel_Workers": "0",
        "OIPSERVER_MAX_BATCH_TIME": " 0.25 ",
        "OIPSERVER_EXTENSIONS": '["a", "b"]',
        "OIPSERVER_WORKER_DEVICES": "0, 1",
        "OIPSERVER_CORS_SETTINGS": '{"allow_origins": ["*"]}',
        "OIPSERVER_METRICS_ENDPOINT": "null",
        "OIPSERVER_LOGGING_SETTINGS": '{"version": 1}',
    }
    settings = resolved(tmp_path, {"gzip_enabled": "false", "grpc_threads": "2"}, variables).settings
    assert (settings.debug, settings.parallel_workers, settings.max_batch_time) == (True, 0, 0.25)
    assert (settings.extensions, settings.worker_devices) == (["a", "b"], ["0", "1"])
    assert settings.cors_settings is not None
    assert settings.cors_settings.allow_origins == ["*"]
    assert settings.metrics_endpoint is None
    assert settings.logging_settings == {"version": 1}
    assert (settings.gzip_enabled, settings.grpc_threads) == (False, 2)


def test_a_list_on_the_command_line_may_come_in_pieces(tmp_path: Path) -> None:
    result = resolved(tmp_path, load_models=["a,b", '["c"]', "d"], gzip_enabled=False)
    assert result.settings.load_models == ["a", "b", "c", "d"]
    assert result.sources["gzip_enabled"] == "--no-gzip-enabled"


def test_words_in_any_case(tmp_path: Path) -> None:
    settings = resolved(tmp_path, {"log_level": "WARNING"}, {"OIPSERVER_MODEL_CONTROL_MODE": "Explicit"}).settings
    assert (settings.log_level, settings.model_control_mode) == ("warning", "explicit")


def test_the_named_folder_is_the_repository(tmp_path: Path) -> None:
    result = resolved(tmp_path, {"model_repository_root": "elsewhere"}, {"MLSERVER_MODEL_REPOSITORY_ROOT": "/third"})
    assert result.root == tmp_path
    assert result.settings.model_repository_root == str(tmp_path)


def test_without_a_folder_the_setting_names_it(tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_text('{"http_port": 7}')
    result = resolve_settings(None, {}, Environment({"OIPSERVER_MODEL_REPOSITORY_ROOT": str(tmp_path)}))
    assert (result.root, result.settings.http_port) == (tmp_path, 7)


def test_beside_a_bare_file_its_folders_settings_count(tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_text('{"http_port": 7}')
    model = tmp_path / "digits.onnx"
    model.touch()
    result = resolve_settings(model, {}, Environment({}))
    assert (result.root, result.settings.http_port) == (model, 7)


def test_an_env_file_counts_below_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / ".env").write_text("OIPSERVER_METRICS_PORT=1\n")  # not the working directory's
    (folder / "settings.json").write_text('{"http_port": 5, "server_name": "file"}')
    (tmp_path / ".env").write_text("MLSERVER_HTTP_PORT=1\nMLSERVER_GRPC_PORT=2\nDEBUG=1\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("mlserver_grpc_port", "3")
    result = resolve_settings(folder)
    settings = result.settings
    assert (settings.http_port, settings.grpc_port, settings.metrics_port) == (1, 3, 8082)
    assert (settings.server_name, settings.debug) == ("file", False)
    assert (result.sources["http_port"], result.sources["grpc_port"]) == (
        "MLSERVER_HTTP_PORT in .env",
        "mlserver_grpc_port",
    )
    (tmp_path / ".env").write_text("MLSERVER_HTTP_PORT=many\n")
    with pytest.raises(
        InvalidArgumentError, match=r"http_port.*MLSERVER_HTTP_PORT in \.env|MLSERVER_HTTP_PORT in \.env"
    ):
        resolve_settings(folder)
    (tmp_path / ".env").write_bytes(b"\xff=1")
    with pytest.raises(InvalidArgumentError, match=r"'\.env' cannot be read"):
        resolve_settings(folder)


@pytest.mark.parametrize(
    ("file", "variables", "options", "message"),
    [
        ({"http_port": "many"}, {}, {}, "http_port: expected an integer, got 'many' (from DIR/settings.json)"),
        ({}, {"MLSERVER_HTTP_PORT": "x"}, {}, "http_port: expected an integer, got 'x' (from MLSERVER_HTTP_PORT)"),
        ({}, {}, {"http_port": "-1"}, "http_port: expected at least 0, got '-1' (from --http-port)"),
        ({"http_port": 70000}, {}, {}, "http_port: expected at most 65535, got 70000 (from DIR/settings.json)"),
        ({}, {"OIPSERVER_DEBUG": "maybe"}, {}, "debug: expected true or false, got 'maybe' (from OIPSERVER_DEBUG)"),
        (
            {},
            {},
            {"log_level": "warn"},
            "log_level: expected 'debug', 'info', 'warning' or 'error', got 'warn'; did you mean 'warning'? "
            "(from --log-level)",
        ),
        (
            {"cors_settings": {"allow_origin": ["*"]}},
            {},
            {},
            "cors_settings.allow_origin: there is no such key (from DIR/settings.json)",
        ),
        ({"extensions": "a"}, {}, {}, "extensions: expected a list, got 'a' (from DIR/settings.json)"),
        (
            {"logging_settings": 3},
            {},
            {},
            "logging_settings: expected a string or an object, got 3 (from DIR/settings.json)",
        ),
        (
            {},
            {"OIPSERVER_EXTENSIONS": "[1"},
            {},
            "OIPSERVER_EXTENSIONS: broken JSON at character 3: Expecting ',' delimiter",
        ),
        (
            {"http_port": "x", "debug": "maybe"},
            {},
            {},
            "http_port: expected an integer, got 'x' (from DIR/settings.json); "
            "debug: expected true or false, got 'maybe' (from DIR/settings.json)",
        ),
    ],
)
def test_wrong_values_name_key_expected_got_and_source(
    tmp_path: Path, file: object, variables: dict[str, str], options: dict[str, object], message: str
) -> None:
    assert refused(tmp_path, file, variables, **options) == message


def test_a_long_value_is_cut(tmp_path: Path) -> None:
    assert len(refused(tmp_path, {"http_port": "x" * 5000})) < 200


@pytest.mark.parametrize(
    ("key", "warning"),
    [
        ("http_prt", "unknown key 'http_prt'; did you mean 'http_port'?"),
        ("qqqqqqq", "unknown key 'qqqqqqq'"),
        ("kafka_enabled", "'kafka_enabled' is known from MLServer and has no effect here: this server speaks no Kafka"),
        ("metrics_dir", "'metrics_dir' is known from MLServer and has no effect here: "),
    ],
)
def test_keys_without_effect_warn(tmp_path: Path, key: str, warning: str) -> None:
    (line,) = resolved(tmp_path, {key: 1}).warnings
    assert line.startswith(f"{tmp_path / 'settings.json'}: {warning}")


@pytest.mark.parametrize(
    ("variable", "warning"),
    [
        ("OIPSERVER_HTTP_PRT", "variable 'OIPSERVER_HTTP_PRT' sets nothing; did you mean 'OIPSERVER_HTTP_PORT'?"),
        ("mlserver_model_nme", "variable 'mlserver_model_nme' sets nothing; did you mean 'MLSERVER_MODEL_NAME'?"),
        ("OIPSERVER_QQQQQ", "variable 'OIPSERVER_QQQQQ' sets nothing"),
        ("MLSERVER_KAFKA_SERVERS", "'MLSERVER_KAFKA_SERVERS' is known from MLServer and has no effect here: "),
        ("MLSERVER_ALLOW_ORIGINS", "has no effect here: set MLSERVER_CORS_SETTINGS to a JSON object"),
    ],
)
def test_variables_without_effect_warn(tmp_path: Path, variable: str, warning: str) -> None:
    (line,) = resolved(tmp_path, variables={variable: "1"}).warnings
    assert warning in line


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("OIPSERVER_HTTP_PORT", "tcp://10.0.0.1:8080"),
        ("OIPSERVER_SERVICE_HOST", "10.0.0.1"),
        ("MLSERVER_SERVICE_PORT_HTTP", "8080"),
        ("MLSERVER_PORT_8080_TCP_ADDR", "10.0.0.1"),
        ("MLSERVER_MODEL_HUGGINGFACE_TASK", "text-classification"),
        ("MLSERVER_MODELS_DIR", "/mnt/models"),
        ("PATH", "/bin"),
    ],
)
def test_variables_of_others_are_left_alone(tmp_path: Path, variable: str, value: str) -> None:
    result = resolved(tmp_path, variables={variable: value})
    assert result.warnings == ()
    assert result.settings.http_port == 8080
