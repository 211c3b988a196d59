"""What a folder of models is found to need."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from oipserver.build import needs_of
from oipserver.errors import InvalidArgumentError

ROOT = Path(__file__).parents[2]
PBTXT = 'backend: "%s"\nmax_batch_size: 8\n'


def write_model(folder: Path, implementation: str, **more: object) -> Path:
    folder.mkdir(parents=True)
    (folder / "model-settings.json").write_text(json.dumps({"implementation": implementation, **more}))
    return folder


@pytest.mark.parametrize(
    ("implementation", "extras"),
    [
        ("onnx", {"onnx"}),
        ("mlserver_sklearn.SKLearnModel", {"sklearn"}),
        ("mlserver_xgboost.xgboost.XGBoostModel", {"xgboost"}),
        ("huggingface", {"huggingface"}),
        ("identity", set()),
        ("models.MyModel", set()),
    ],
)
def test_runtimes_bring_their_extras(tmp_path: Path, implementation: str, extras: set[str]) -> None:
    write_model(tmp_path / "model", implementation)
    needs = needs_of(tmp_path)
    assert (needs.extras, needs.models) == (extras, ["model"])


def test_every_layout_counts(tmp_path: Path) -> None:
    write_model(tmp_path / "flowers", "sklearn", parameters={"version": "2"})
    (tmp_path / "bare.onnx").touch()
    torch = tmp_path / "triton" / "net"
    (torch / "1").mkdir(parents=True)
    (torch / "config.pbtxt").write_text(PBTXT % "pytorch")
    needs = needs_of(tmp_path)
    assert needs.extras == {"onnx", "sklearn", "torch"}
    assert set(needs.models) == {"bare", "flowers:2", "net:1"}
    assert needs.bare == {"onnx"}


def test_dataframes_and_traces_bring_theirs(tmp_path: Path) -> None:
    write_model(tmp_path / "model", "models.MyModel", parameters={"content_type": "pd"})
    (tmp_path / "settings.json").write_text('{"tracing_server": "collector:4317"}')
    assert needs_of(tmp_path).extras == {"pandas", "otel"}


def test_a_model_with_its_own_environment_needs_nothing_here(tmp_path: Path) -> None:
    write_model(tmp_path / "model", "sklearn", parameters={"environment_tarball": "environment.tar.gz"})
    assert needs_of(tmp_path).extras == set()


def test_requirements_of_the_folder_and_of_each_model(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("pillow\n")
    (write_model(tmp_path / "model", "models.MyModel") / "requirements.txt").write_text("scipy\n")
    (tmp_path / "training").mkdir()
    (tmp_path / "training" / "requirements.txt").write_text("matplotlib\n")  # no model's, so no business of an image
    assert needs_of(tmp_path).files == ["requirements.txt", "model/requirements.txt"]


def test_variables_of_this_process_set_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OIPSERVER_HTTP_PORT", "9999")
    monkeypatch.setenv("OIPSERVER_MODEL_IMPLEMENTATION", "sklearn")
    needs = needs_of(tmp_path)
    assert (needs.settings.http_port, needs.models) == (8080, [])


def test_environment_files_may_name_files_and_options(tmp_path: Path) -> None:
    (tmp_path / "more.txt").write_text("scipy\n")
    environment = tmp_path / "environment.yml"
    environment.write_text("dependencies:\n- pip:\n  - -r more.txt\n  - --pre\n  - numpy\n")
    needs = needs_of(tmp_path)
    assert (needs.files, needs.requirements) == (["more.txt"], ["--pre", "numpy"])
    environment.write_text("dependencies:\n- pip:\n  - -r ../more.txt\n")
    with pytest.raises(InvalidArgumentError, match="leads out of"):
        needs_of(tmp_path)


def write_mlflow(folder: Path, python: str = "3.11.9") -> Path:
    folder.mkdir(parents=True)
    (folder / "MLmodel").write_text("flavors:\n  python_function:\n    env: {virtualenv: python_env.yaml}\n")
    (folder / "python_env.yaml").write_text(f"python: {python}\nbuild_dependencies:\n- pip==24\n")
    (folder / "conda.yaml").write_text(
        f"channels: [conda-forge]\ndependencies:\n- python={python}\n- pip<=24\n- pip:\n  - mlflow==3.1\n  - xgboost\n"
    )
    return folder


def test_mlflow_models_bring_their_requirements_unasked(tmp_path: Path) -> None:
    (write_mlflow(tmp_path / "wine") / "requirements.txt").write_text("mlflow==3.1\n")
    needs = needs_of(tmp_path)
    assert (needs.files, needs.requirements, needs.python) == (["wine/requirements.txt"], [], "3.11")
    assert needs.extras == {"mlflow"}
    needs = needs_of(tmp_path, mlflow_requirements=False)
    assert (needs.files, needs.requirements, needs.python) == ([], [], None)


def test_mlflow_models_without_the_file_for_pip_bring_that_for_conda(tmp_path: Path) -> None:
    write_mlflow(tmp_path / "wine")
    needs = needs_of(tmp_path)
    assert (needs.files, needs.requirements, needs.python) == ([], ["mlflow==3.1", "xgboost"], "3.11")


def test_an_image_has_one_python(tmp_path: Path) -> None:
    write_mlflow(tmp_path / "a")
    write_mlflow(tmp_path / "b", "3.12.1")
    write_mlflow(tmp_path / "c", "3.9.1")
    needs = needs_of(tmp_path)
    assert needs.python == "3.11"
    assert any("b asks for Python 3.12, others for 3.11" in note for note in needs.notes)
    assert any("c asks for Python 3.9" in note for note in needs.notes)


def test_projects_with_a_build_system_are_installed_others_give_their_dependencies(tmp_path: Path) -> None:
    project = '[project]\nname = "shop"\nversion = "1"\ndependencies = ["scipy>=1"]\n'
    (tmp_path / "pyproject.toml").write_text(project)
    needs = needs_of(tmp_path)
    assert (needs.project, needs.requirements) == (False, ["scipy>=1"])
    (tmp_path / "pyproject.toml").write_text(project + '[build-system]\nrequires = ["hatchling"]\n')
    needs = needs_of(tmp_path)
    assert (needs.project, needs.requirements) == (True, [])


@pytest.mark.parametrize("line", ["-e .", ".", "./", "--editable=.", ".[gpu]  # with extras", "-e.[gpu]"])
def test_a_project_that_its_requirements_name_is_installed_once(tmp_path: Path, line: str) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "shop"\n[build-system]\nrequires = ["hatchling"]\n')
    (tmp_path / "requirements.txt").write_text(f"scipy\n{line}\n")
    needs = needs_of(tmp_path)
    assert (needs.project, needs.local) == (False, [(".", "-r requirements.txt")])
    (tmp_path / "requirements.txt").write_text("./tool\n")
    assert needs_of(tmp_path).project
    (tmp_path / "environment.yml").write_text(f"dependencies: [pip: ['{line.partition('#')[0]}']]")
    needs = needs_of(tmp_path)
    assert (needs.project, len(needs.local)) == (False, 2)


def test_the_source_of_the_server_is_known() -> None:
    needs = needs_of(ROOT)
    assert (needs.is_server, needs.project, needs.models, needs.extras) == (True, True, [], {"onnx"})


def test_links_out_of_the_folder_are_told(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere.onnx"
    elsewhere.touch()
    folder = write_model(tmp_path / "models" / "model", "onnx")
    (folder / "model.onnx").symlink_to(elsewhere)
    (folder / "again.onnx").symlink_to(folder / "model.onnx")
    (folder / "within.json").symlink_to("model-settings.json")
    notes = needs_of(tmp_path / "models").notes
    assert [note.split()[0] for note in notes] == ["model/again.onnx", "model/model.onnx"]


def test_requirements_that_an_image_cannot_have(tmp_path: Path) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    (tmp_path / "mine.txt").write_text("scipy\n")
    (folder / "requirements.txt").symlink_to("../mine.txt")
    with pytest.raises(InvalidArgumentError, match=r"requirements.txt leads out of .*: an image can have"):
        needs_of(folder)
    (folder / "requirements.txt").unlink()
    (folder / "environment.yml").write_text("dependencies:\n- pip:\n  - -r missing.txt\n")
    with pytest.raises(InvalidArgumentError, match=r"cannot read .*missing.txt: No such file"):
        needs_of(folder)


def test_what_conda_has_beyond_packages(tmp_path: Path) -> None:
    environment = tmp_path / "environment.yml"
    environment.write_text(
        "channels: [bioconda, conda-forge]\ndependencies: [numpy=2, libgcc]\nvariables: {A: 1, B: null}\n"
    )
    needs = needs_of(tmp_path)
    assert (needs.requirements, needs.variables) == (["numpy==2.*"], {"A": "1", "B": ""})
    where, left_out, _ = sorted(needs.notes)
    assert where.endswith(
        "come from the Python package index, by pip; conda's channels are not used: bioconda, conda-forge"
    )
    assert left_out == "environment.yml: left out, as pip cannot install it: libgcc (see --system-packages)"
    environment.write_text("channels: [conda-forge]\ndependencies: [python=3.12, pip, {pip: [numpy]}]\n")
    assert not [note for note in needs_of(tmp_path).notes if "environment.yml" in note]


def test_what_cannot_be_served_is_told(tmp_path: Path) -> None:
    assert needs_of(tmp_path).notes == ["no models found: the image serves what is mounted at /mnt/models"]
    write_model(tmp_path / "model", "onnx", max_batch_size="many")
    assert "max_batch_size" in needs_of(tmp_path).notes[0]


@pytest.mark.parametrize(
    ("file", "text", "complaint"),
    [
        ("pyproject.toml", "[project", "cannot read .*pyproject.toml"),
        ("environment.yml", "dependencies: [", "cannot read .*environment.yml"),
        ("environment.yml", "- numpy", "expected an object with a list of dependencies"),
        ("environment.yml", "dependencies:\n- {npm: [x]}", "expected a package or a list 'pip'"),
        ("environment.yml", "dependencies: {numpy: 2}", "expected a list of dependencies, got {'numpy': 2}"),
        ("environment.yml", "dependencies:\n- pip: numpy", "expected a list of pip, got 'numpy'"),
        ("environment.yml", "variables: {A B: 1}", "'A B' cannot be the name of a variable"),
        ("pyproject.toml", "project = 1", "expected a table 'project'"),
        ("pyproject.toml", "[project]\ndependencies = [1]", "a list of texts 'dependencies'"),
        ("environment.yml", "dependencies:\n- numpy 1.8|1.9", "'numpy 1.8|1.9' has no counterpart for pip"),
    ],
)
def test_files_that_cannot_be_read(tmp_path: Path, file: str, text: str, complaint: str) -> None:
    (tmp_path / file).write_text(text)
    with pytest.raises(InvalidArgumentError, match=complaint.replace("|", r"\|")):
        needs_of(tmp_path)


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="is no folder"):
        needs_of(tmp_path / "missing")
