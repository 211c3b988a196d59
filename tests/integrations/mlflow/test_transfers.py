"""The body of an upload, options, and the folder that is shared: what is there after every kind of end."""

from __future__ import annotations

import io
import json
from base64 import b64decode
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("mlflow", reason="the plugin needs MLflow")
from mlflow.exceptions import MlflowException

from oipserver.integrations.mlflow.bundle import Bundle
from oipserver.integrations.mlflow.options import Options, read_options
from oipserver.integrations.mlflow.progress import Progress
from oipserver.integrations.mlflow.shared import SharedRepository
from oipserver.integrations.mlflow.upload import UploadBody

NO_PROGRESS = Progress(None, "", 0)
HOW: dict[str, Any] = {"link": False, "movable": False, "keep": 0}


@settings(deadline=None)
@given(config=st.none() | st.text(), files=st.dictionaries(st.text(min_size=1), st.binary()), on_disk=st.booleans())
def test_an_upload_is_json_of_the_length_it_says(config: str | None, files: dict[str, bytes], on_disk: bool) -> None:
    sent: list[int] = []
    with TemporaryDirectory() as folder:
        sources: dict[str, Any] = dict(files)
        for number, (path, content) in enumerate(files.items() if on_disk else ()):
            sources[path] = Path(folder, str(number))
            sources[path].write_bytes(content)
        upload = UploadBody(config, sources, sent.append)
        text = b"".join(upload)
    parameters = json.loads(text)["parameters"]
    assert len(text) == upload.size
    assert parameters.pop("config", None) == config
    assert {key: b64decode(value) for key, value in parameters.items()} == {f"file:{k}": v for k, v in files.items()}
    assert sum(sent) == sum(map(len, files.values()))


def test_a_large_file_goes_in_pieces(tmp_path: Path) -> None:
    content = bytes(range(256)) * 10_000
    (tmp_path / "f").write_bytes(content)
    pieces = list(UploadBody(None, {"f": tmp_path / "f"}, lambda size: None))
    assert max(map(len, pieces)) <= 1 << 20
    assert b64decode(json.loads(b"".join(pieces))["parameters"]["file:f"]) == content


def test_options() -> None:
    told = read_options(
        {"transfer": "copy", "version": "7", "keep": "2", "timeout": "1.5", "trust": "true",
         "parameters.extra.device": "cuda", "parameters.extra.n": "3", "max_batch_size": 8}
    )  # fmt: skip
    assert told == Options(
        transfer="copy", version="7", keep=2, timeout=1.5, trust=True,
        model={"parameters": {"extra": {"device": "cuda", "n": 3}}, "max_batch_size": 8},
    )  # fmt: skip


@pytest.mark.parametrize(
    "config",
    [{"transfer": "mail"}, {"version": "0"}, {"version": "x"}, {"timeout": "-1"}, {"keep": "-1"},
     {"trust": "maybe"}, {"repository": "3"}, {"a": 1, "a.b": 2}, {"a..b": 1},
     {"version": "²"}, {"keep": "1e999"}, {"keep": "NaN"}, {"timeout": "NaN"}, {"port": "-Infinity"},
     {"keep": "[" * 100_000}],
)  # fmt: skip
def test_options_that_cannot_be(config: dict[str, Any]) -> None:
    with pytest.raises(MlflowException, match="-C ") as raised:
        read_options(config)
    assert raised.value.error_code == "INVALID_PARAMETER_VALUE"


def bundle(folder: Path, text: str = "weights", version: str = "1") -> Bundle:
    source = folder / f"source-{text}"
    source.write_text(text)
    config = {"backend": "onnxruntime"}
    return Bundle("m", version, "onnx", {f"{version}/model.onnx": source}, config, notes={"flavor": "onnx"})


def place(repository: SharedRepository, made: Bundle, *, replace: bool = False, **how: Any) -> None:
    with repository.placed(made, NO_PROGRESS, replace=replace, **{**HOW, **how}):
        pass


@pytest.fixture
def repository(tmp_path: Path) -> SharedRepository:
    (tmp_path / "models").mkdir()
    return SharedRepository(tmp_path / "models")


def test_a_model_is_placed_whole(repository: SharedRepository, tmp_path: Path) -> None:
    place(repository, bundle(tmp_path))
    assert (repository.root / "m" / "1" / "model.onnx").read_text() == "weights"
    assert 'backend: "onnxruntime"' in (repository.root / "m" / "config.pbtxt").read_text()
    assert repository.notes("m") == {"flavor": "onnx", "triton_model_path": str(repository.root / "m")}
    assert [path.name for path in repository.root.iterdir()] == ["m"]


def test_a_name_that_is_taken_is_left_alone(repository: SharedRepository, tmp_path: Path) -> None:
    place(repository, bundle(tmp_path, "first"))
    with pytest.raises(MlflowException, match="exists already"):
        place(repository, bundle(tmp_path, "second"))
    assert (repository.root / "m" / "1" / "model.onnx").read_text() == "first"
    assert [path.name for path in repository.root.iterdir()] == ["m"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_what_fails_leaves_no_trace(error: type[BaseException], repository: SharedRepository, tmp_path: Path) -> None:
    for before in (None, "first"):
        with pytest.raises(error):
            _fail_while_placed(repository, bundle(tmp_path, "second", "2"), error)
        files = {path.read_text() for path in repository.root.rglob("model.onnx")}
        assert files == ({before} if before else set())
        if before is None:
            place(repository, bundle(tmp_path, "first"))


def _fail_while_placed(repository: SharedRepository, made: Bundle, error: type[BaseException]) -> None:
    with repository.placed(made, NO_PROGRESS, replace=True, **HOW):
        assert (repository.root / "m" / "2" / "model.onnx").read_text() == "second"
        raise error


def test_a_file_that_goes_missing_meanwhile_leaves_no_trace(repository: SharedRepository, tmp_path: Path) -> None:
    place(repository, bundle(tmp_path, "first"))
    made = bundle(tmp_path, "second")
    made.files["1/gone"] = tmp_path / "gone"
    with pytest.raises(MlflowException, match="cannot be written"):
        place(repository, made, replace=True)
    assert (repository.root / "m" / "1" / "model.onnx").read_text() == "first"
    assert [path.name for path in repository.root.iterdir()] == ["m"]


def test_folders_that_are_no_versions_are_not_kept(repository: SharedRepository, tmp_path: Path) -> None:
    place(repository, bundle(tmp_path, "first"))
    (repository.root / "m" / "²").mkdir()
    place(repository, bundle(tmp_path, "second", "2"), replace=True, keep=5)
    assert sorted(path.name for path in (repository.root / "m").iterdir() if path.is_dir()) == ["1", "2"]


def test_files_of_our_own_are_moved_where_links_are_wanted(repository: SharedRepository, tmp_path: Path) -> None:
    made = bundle(tmp_path)
    place(repository, made, link=True, movable=True)
    assert not (repository.root / "m" / "1" / "model.onnx").is_symlink()
    assert not (tmp_path / "source-weights").exists()


def test_a_bar_is_for_terminals_alone() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    clock = iter([0.0, 0.0, 0.05, 1.0, 1.0, 2.0, 2.0])
    terminal, pipe = Terminal(), io.StringIO()
    with Progress(terminal, "m", 4_000_000, lambda: next(clock)) as shown, Progress(pipe, "m", 4) as silent:
        shown.add(1_000_000)
        shown.add(1_000_000)
        silent.add(4)
    assert pipe.getvalue() == ""
    last = terminal.getvalue().split("\r")[-1]
    assert last.startswith("m  50% [##############              ] 2.0/4.0 MB")
    assert last.endswith("\n")
