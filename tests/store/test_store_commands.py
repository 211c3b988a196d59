"""``oipserver models`` by its verbs, as it is typed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from oipserver.cli import main
from tests.store.mlmodels import save_onnx, save_sklearn

Run = Callable[..., str]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose path is long, and has a blank."""
    home = tmp_path / ("a very long name of a folder " * 4).strip() / "home"
    monkeypatch.setenv("OIPSERVER_HOME", str(home))
    return home


@pytest.fixture
def run(home: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """What a command that succeeds prints."""

    def run(*words: str) -> str:
        code = main(["models", *words])
        printed = capsys.readouterr()
        assert code == 0, printed.err
        return printed.out

    return run


@pytest.fixture
def fails(home: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    def fails(*words: str) -> tuple[int, str]:
        return main(["models", *words]), capsys.readouterr().err

    return fails


@pytest.fixture
def saved(tmp_path: Path) -> str:
    return str(save_sklearn(tmp_path / "saved"))


def test_the_life_of_a_model(run: Run, saved: str, home: Path, tmp_path: Path) -> None:
    tag = run("import", "mlflow", saved, "--name", "iris", "-l", "stage=prod").split()[1]
    name, version = tag.split(":")
    assert (name, len(version)) == ("iris", 17)
    assert tag in run("list", "iris")
    assert run("get", "iris:latest", "-o", "path") == f"{home / 'models' / 'iris' / version}\n"
    assert run("alias", tag, "champion") == f"iris@champion is {tag}\n"
    assert run("get", "iris@champion", "--verify", "-o", "path").endswith(f"{version}\n")
    archive = str(tmp_path / "iris.tar.gz")
    assert run("export", tag, archive) == f"exported {tag} to {archive}\n"
    assert run("push", "iris", str(tmp_path / "shared")).startswith(f"pushed {tag} to ")
    assert run("alias", "--delete", "iris", "champion") == "deleted iris@champion\n"
    assert run("delete", tag) == f"deleted {tag}\n"
    assert run("list").startswith("no models in ")
    assert run("import", archive) == f"imported {tag}\n"
    assert run("delete", "iris", "-y") == f"deleted {tag}\n"
    assert run("pull", "iris", str(tmp_path / "shared")) == f"pulled {tag}\n"


def test_lists_and_what_is_known(run: Run, saved: str, tmp_path: Path) -> None:
    notes = tmp_path / "notes.json"
    notes.write_text('{"team": "a", "f1": 0.5}')
    run("import", "mlflow", saved, "--name", "iris:1", "-l", "stage=prod", "--metadata", str(notes))
    run("import", "mlflow", saved, "--name", "iris", "--version", "2", "--metadata", "f1=0.7", "--metadata", "by=me")
    run("import", "mlflow", str(save_onnx(tmp_path / "onnx")), "--name", "add:1")
    header, *rows = run("list").splitlines()
    assert header.split() == ["TAG", "ALIASES", "RUNTIME", "SIZE", "CREATED", "LABELS"]
    assert [row.split()[0] for row in rows] == ["add:1", "iris:2", "iris:1"]
    assert [model["tag"] for model in json.loads(run("list", "iris", "-o", "json"))] == ["iris:2", "iris:1"]
    assert [model["tag"] for model in yaml.safe_load_all(run("list", "-l", "stage=prod", "-o", "yaml"))] == ["iris:1"]
    told = json.loads(run("get", "iris:1", "-o", "json"))
    assert told == yaml.safe_load(run("get", "iris:1"))
    assert told["metadata"] == {"team": "a", "f1": 0.5}
    assert told["labels"] == {"stage": "prod"}
    assert told["source"]["uri"] == saved
    assert set(told["files"]) == {"mlflow_model/MLmodel", "mlflow_model/model.pkl", "mlflow_model/requirements.txt"}
    assert json.loads(run("get", "iris:2", "-o", "json"))["metadata"] == {"f1": 0.7, "by": "me"}


def test_what_is_set_when_importing(run: Run, saved: str) -> None:
    options = [
        "--batch",
        "32",
        "--batch-time",
        "0.01",
        "--enforce-inputs",
        "--set",
        "cache_enabled=true",
        "-f",
        "sklearn",
    ]
    run("import", "mlflow", saved, "--name", "iris", *options)
    settings = json.loads(Path(run("get", "iris", "-o", "path").strip(), "model-settings.json").read_text())
    assert settings["implementation"] == "sklearn"
    assert (settings["max_batch_size"], settings["max_batch_time"]) == (32, 0.01)
    assert settings["cache_enabled"] is settings["enforce_inputs"] is True
    assert settings["inputs"] == [{"name": "input-0", "datatype": "FP64", "shape": [-1, 2]}]


@pytest.mark.parametrize(
    ("words", "code", "reason"),
    [
        (["import"], 2, "required: mlflow URI | FILE"),
        (["import", "mlflow"], 2, "expected 'mlflow URI' or a FILE, got 'mlflow'"),
        (["import", "a", "b"], 2, "expected 'mlflow URI' or a FILE, got 'a b'"),
        (["import", "mlflow", "SAVED"], 2, "--name is missing"),
        (["import", "mlflow", "SAVED", "--name", "a:1", "--version", "2"], 2, "name the version twice"),
        (["import", "mlflow", "SAVED", "--name", "a/b"], 1, "'a/b' cannot name a model"),
        (["import", "mlflow", "SAVED", "--name", "a", "--metadata", "x"], 1, "expected KEY=JSON or a file of JSON"),
        (["import", "mlflow", "SAVED", "--name", "a", "-l", "x"], 2, "expected KEY=VALUE, got 'x'"),
        (["import", "mlflow", "SAVED", "--name", "a", "--set", "nope=1"], 1, "'nope' cannot be set"),
        (["import", "mlflow", "SAVED", "--name", "a", "-f", "onnx"], 1, "nothing in it can be served as 'onnx'"),
        (["import", "x.tar", "--name", "a"], 2, "--name is for MLflow models"),
        (["import", "x.tar"], 1, "there is no file x.tar"),
        (["get", "nope"], 1, "there is no model 'nope'"),
        (["get", "nope", "-o", "xml"], 2, "xml"),
        (["delete", "iris"], 2, "'iris' would delete all its versions"),
        (["delete", "iris:1", "iris:9"], 1, "there is no 'iris:9'"),
        (["delete", "iris:1"], 1, "'iris:1' is 'iris@best'"),
        (["export", "iris", "x.zip"], 1, "expected a name that ends in"),
        (["alias", "iris", "latest"], 1, "always means the newest"),
        (["list", "-l", "x"], 2, "expected KEY=VALUE"),
        (["get", "iris", "--stroe", "x"], 2, "did you mean '--store'?"),
    ],
)
def test_mistakes(
    run: Run, fails: Callable[..., tuple[int, str]], saved: str, words: list[str], code: int, reason: str
) -> None:
    run("import", "mlflow", saved, "--name", "iris:1")
    run("alias", "iris:1", "best")
    before = run("list", "-o", "json")
    got, error = fails(*[saved if word == "SAVED" else word for word in words])
    assert got == code
    assert error.startswith("oipserver: error: ")
    assert reason in error
    assert error.count("\n") == 1
    assert run("list", "-o", "json") == before


def test_another_store(run: Run, saved: str, tmp_path: Path) -> None:
    run("import", "mlflow", saved, "--name", "iris:1", "--store", str(tmp_path / "other"))
    assert run("list", "--store", str(tmp_path / "other"), "-o", "json") != "[]\n"
    assert run("list", "-o", "json") == "[]\n"


def test_a_folder_is_still_listed(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a verb the command is about a folder; one that is called like a verb is ./list."""
    save_onnx(tmp_path / "list")
    monkeypatch.chdir(tmp_path)
    assert run("./list").splitlines()[1].split()[:2] == ["list", "onnx"]
    run("import", "mlflow", "list", "--name", "add:1")
    (row,) = json.loads(run(str(Path(os.environ["OIPSERVER_HOME"]) / "models"), "-o", "json"))
    assert (row["name"], row["version"], row["implementation"]) == ("add", "1", "onnx")


def test_as_a_shell_uses_it(run: Run, saved: str, home: Path) -> None:
    """The path comes as it is, however long: it goes into a variable."""
    run("import", "mlflow", saved, "--name", "my_mlflow_model:1")
    script = 'export MODEL_PATH="$("$0" -m oipserver models get my_mlflow_model:latest -o path)"; cat "$MODEL_PATH/$1"'
    command = ["sh", "-c", script, sys.executable, "mlflow_model/requirements.txt"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "scikit-learn\n"
