"""Models are found wherever they are, and whatever is wrong with one harms no other."""

import asyncio
import json
import logging
import os
from pathlib import Path

import pytest

from oipserver.errors import InvalidArgumentError
from oipserver.repository import FileModelRepository, Scan, file_repository
from oipserver.settings import Environment, ModelSettings


def settings_file(folder: Path, **content: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "model-settings.json"
    file.write_text(json.dumps(content))
    return file


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def repository(root: Path, **variables: str) -> FileModelRepository:
    return FileModelRepository(root, Environment(variables))


def scan(root: Path, **variables: str) -> Scan:
    return asyncio.run(repository(root, **variables).scan())


def found(root: Path, **variables: str) -> list[tuple[str, str]]:
    result = scan(root, **variables)
    assert result.problems == []
    return [(model.name, model.version) for model in result.models]


def test_mlserver_folders_at_any_depth_in_order(tmp_path: Path) -> None:
    settings_file(tmp_path / "b", implementation="x.Y")
    settings_file(tmp_path / "a" / "deep" / "down", name="a", implementation="x.Y")
    settings_file(tmp_path / "digits" / "2", name="digits", implementation="x.Y", parameters={"version": "2"})
    settings_file(tmp_path / "digits" / "1", name="digits", implementation="x.Y", parameters={"version": "1"})
    assert found(tmp_path) == [("a", ""), ("b", ""), ("digits", "1"), ("digits", "2")]


def test_the_root_may_be_the_model(tmp_path: Path) -> None:
    settings_file(tmp_path, implementation="x.Y")
    (model,) = scan(tmp_path).models
    assert (model.name, model.parameters.uri) == (tmp_path.name, str(tmp_path))


def test_bare_onnx_files(tmp_path: Path) -> None:
    touch(tmp_path / "first.onnx")
    touch(tmp_path / "second.ONNX")
    touch(tmp_path / "third" / "model.onnx")
    touch(tmp_path / "third" / "decoder.onnx")
    touch(tmp_path / "notes.txt")
    models = scan(tmp_path).models
    assert [(model.name, model.version) for model in models] == [
        ("first", ""),
        ("second", ""),
        ("third", ""),
    ]
    assert {model.implementation for model in models} == {"onnx"}
    assert models[0].parameters.uri == str(tmp_path / "first.onnx")
    assert models[-1].parameters.uri == str(tmp_path / "third" / "model.onnx")
    assert models[0].source is None


def test_one_bare_file(tmp_path: Path) -> None:
    touch(tmp_path / "other.onnx")
    settings_file(tmp_path, name="unrelated")
    file = touch(tmp_path / "digits.onnx")
    assert found(file) == [("digits", "")]
    assert found(file, OIPSERVER_MODEL_NAME="numbers") == [("numbers", "")]
    (model,) = scan(file, OIPSERVER_MODEL_MAX_BATCH_SIZE="8").models
    assert (model.parameters.uri, model.max_batch_size) == (str(file), 8)


def test_what_settings_describe_is_not_guessed_at(tmp_path: Path) -> None:
    settings_file(tmp_path / "m", implementation="onnx", parameters={"uri": "weights/model.onnx"})
    touch(tmp_path / "m" / "weights" / "model.onnx")
    touch(tmp_path / "m" / "other.onnx")
    settings_file(tmp_path / "m" / "2", name="m", implementation="onnx", parameters={"version": "2"})
    assert found(tmp_path) == [("m", ""), ("m", "2")]


@pytest.mark.parametrize(
    "folder", [".hidden", ".envs/x", "__pycache__", "lib/site-packages/onnx", ".metrics", ".venv", "lost+found"]
)
def test_folders_that_hold_no_models(tmp_path: Path, folder: str) -> None:
    settings_file(tmp_path / folder, implementation="x.Y")
    assert found(tmp_path) == []


@pytest.mark.parametrize("mark", ["pyvenv.cfg", "conda-meta/history"])
def test_python_environments_hold_no_models(tmp_path: Path, mark: str) -> None:
    touch(tmp_path / "env" / mark)
    touch(tmp_path / "env" / "lib" / "model.onnx")
    assert found(tmp_path) == []


def test_a_hidden_root_was_asked_for(tmp_path: Path) -> None:
    settings_file(tmp_path / ".models" / "m", implementation="x.Y")
    assert found(tmp_path / ".models") == [("m", "")]


def test_links_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    settings_file(tmp_path / "store" / "m", implementation="x.Y")
    root = tmp_path / "root"
    root.mkdir()
    (root / "m").symlink_to(tmp_path / "store" / "m")
    (root / "again").symlink_to(root)
    (tmp_path / "store" / "m" / "up").symlink_to(root)
    (root / "itself").symlink_to("itself")
    (root / "dangling").symlink_to("nowhere")
    assert found(root) == [("m", "")]


def test_two_ways_to_one_file_are_one_model(tmp_path: Path) -> None:
    settings_file(tmp_path / "m" / "v2", name="m", implementation="x.Y", parameters={"version": "2"})
    (tmp_path / "m" / "latest").symlink_to("v2")
    assert found(tmp_path) == [("m", "2")]


def test_two_names_for_one_bare_model_are_two_models(tmp_path: Path) -> None:
    touch(tmp_path / "store" / "model.onnx")
    root = tmp_path / "root"
    root.mkdir()
    (root / "a").symlink_to(tmp_path / "store")
    (root / "b").symlink_to(tmp_path / "store")
    assert found(root) == [("a", ""), ("b", "")]


def test_the_search_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    settings_file(tmp_path / "a" / "b" / "c", implementation="x.Y")
    settings_file(tmp_path / "z", implementation="x.Y")
    monkeypatch.setattr(file_repository, "MAX_DEPTH", 2)
    assert found(tmp_path) == [("z", "")]
    assert "is too deep" in caplog.text
    monkeypatch.setattr(file_repository, "MAX_DEPTH", 32)
    monkeypatch.setattr(file_repository, "MAX_FOLDERS", 4)
    assert found(tmp_path) == [("c", "")]
    assert "4 folders are enough" in caplog.text


def test_broken_files_harm_no_other(tmp_path: Path) -> None:
    settings_file(tmp_path / "good", implementation="x.Y")
    broken = touch(tmp_path / "broken" / "model-settings.json")
    broken.write_text('{"name": "broken",}')
    wrong = settings_file(tmp_path / "folder", name="wrong", max_batch_size="many")
    (tmp_path / "gone").mkdir()
    (tmp_path / "gone" / "model-settings.json").symlink_to("nowhere")
    result = scan(tmp_path)
    assert [model.name for model in result.models] == ["good"]
    assert result.problems == [
        f"{broken}, line 1, column 18: trailing comma: remove it, JSON allows no comma after the last element",
        f"max_batch_size: expected an integer, got 'many' (from {wrong})",
        f"cannot read {tmp_path / 'gone' / 'model-settings.json'}: No such file or directory",
    ]


@pytest.mark.parametrize("name", ["broken", "wrong", "twice"])
def test_finding_a_broken_model_says_why(tmp_path: Path, name: str) -> None:
    touch(tmp_path / "broken" / "model-settings.json").write_text("{")
    settings_file(tmp_path / "folder", name="wrong", max_batch_size="many")
    settings_file(tmp_path / "t1", name="twice")
    settings_file(tmp_path / "t2", name="twice")
    with pytest.raises(InvalidArgumentError, match=f"failed to load '{name}': .*{tmp_path}"):
        asyncio.run(repository(tmp_path).find(name))


def test_finding(tmp_path: Path) -> None:
    settings_file(tmp_path / "a", implementation="x.Y")
    settings_file(tmp_path / "m" / "1", name="m", implementation="x.Y", parameters={"version": "1"})
    settings_file(tmp_path / "m" / "2", name="m", implementation="x.Y", parameters={"version": "2"})
    touch(tmp_path / "broken" / "model-settings.json")

    async def find(name: str) -> list[ModelSettings]:
        return await repository(tmp_path).find(name)

    assert [model.version for model in asyncio.run(find("m"))] == ["1", "2"]
    assert asyncio.run(find("nobody")) == []


def test_one_name_and_version_twice(tmp_path: Path) -> None:
    first = settings_file(tmp_path / "a", name="m", parameters={"version": "1"})
    second = settings_file(tmp_path / "b", name="m", parameters={"version": "1"})
    settings_file(tmp_path / "c", name="m", parameters={"version": "2"})
    result = scan(tmp_path)
    assert [(model.name, model.version) for model in result.models] == [("m", "2")]
    assert result.problems == [f"model 'm' version '1' is described more than once: {first} and {second}"]


@pytest.mark.parametrize("name", [".", "..", "a/b", "a\\b", " ", " \n", "a\0", "a\nb", ".oipserver"])
def test_names_that_cannot_be(tmp_path: Path, name: str) -> None:
    file = settings_file(tmp_path / "m", name=name)
    settings_file(tmp_path / "v", name="m", parameters={"version": name})
    result = scan(tmp_path)
    assert result.models == []
    assert [problem.split(": expected")[0] for problem in result.problems] == [
        f"{file}: {name!r} cannot be the name of a model",
        f"{tmp_path / 'v' / 'model-settings.json'}: {name!r} cannot be the version of a model",
    ]


def test_a_model_of_the_environment_alone(tmp_path: Path) -> None:
    touch(tmp_path / "model.onnx")
    variables = {"MLSERVER_MODEL_IMPLEMENTATION": "mlserver_onnx.OnnxModel", "MLSERVER_MODEL_NAME": "kserve"}
    (model,) = scan(tmp_path, **variables).models
    assert (model.name, model.implementation, model.parameters.uri) == (
        "kserve",
        "mlserver_onnx.OnnxModel",
        str(tmp_path),
    )
    settings_file(tmp_path / "m", implementation="x.Y")
    assert found(tmp_path, MLSERVER_MODEL_IMPLEMENTATION="env.Model") == [(tmp_path.name, ""), ("m", "")]


def test_a_broken_model_of_the_environment_is_a_problem(tmp_path: Path) -> None:
    result = scan(tmp_path, MLSERVER_MODEL_IMPLEMENTATION="x.Y", MLSERVER_MODEL_MAX_BATCH_SIZE="many")
    assert result.models == []
    assert result.problems == ["max_batch_size: expected an integer, got 'many' (from MLSERVER_MODEL_MAX_BATCH_SIZE)"]


def test_roots_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="does not exist"):
        scan(tmp_path / "missing")
    with pytest.raises(InvalidArgumentError, match=r"is a file: expected a folder or an \.onnx file"):
        scan(touch(tmp_path / "model.pkl"))


def test_a_folder_that_cannot_be_read_is_passed_over_unless_it_is_the_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    settings_file(tmp_path / "m", implementation="x.Y")
    locked = tmp_path / "locked"
    locked.mkdir()
    scandir = os.scandir

    def refuse_locked(path: Path) -> object:  # permissions do not stop root, which tests often run as
        if Path(path) == locked:
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse_locked)
    assert found(tmp_path) == [("m", "")]
    assert f"cannot read folder {locked}: Permission denied" in caplog.text
    with pytest.raises(InvalidArgumentError, match=r"cannot read folder .*locked: Permission denied"):
        scan(locked)


def test_a_warning_is_logged_once_and_again_when_it_came_back(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    looked_at = repository(tmp_path)
    caplog.set_level(logging.WARNING)
    file = settings_file(tmp_path / "m", max_batch_siz=1)
    for _ in range(3):
        asyncio.run(looked_at.scan())
    assert len(caplog.records) == 1
    assert "did you mean 'max_batch_size'?" in caplog.text
    file.write_text("{}")
    asyncio.run(looked_at.scan())
    settings_file(tmp_path / "m", max_batch_siz=1)
    asyncio.run(looked_at.scan())
    assert len(caplog.records) == 2
