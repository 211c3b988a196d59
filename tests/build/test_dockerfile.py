"""The text of Dockerfiles, and the one of this repository."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from oipserver import __version__
from oipserver.build import DOCKERIGNORE, Options, dockerfile, gpu_note, is_ours, needs_of

ROOT = Path(__file__).parents[2]


def render(folder: Path, **options: object) -> str:
    return dockerfile(needs_of(folder), Options(**options))  # type: ignore[arg-type]


def pip_words(text: str) -> list[list[str]]:
    """The words of each pip command, as a shell would split them."""
    commands = re.findall(r"^RUN pip install((?: \\\n.*?)+)$", text, re.MULTILINE)
    return [shlex.split(command.replace("\\\n", " ")) for command in commands]


def test_the_repositorys_own_is_what_the_code_writes() -> None:
    assert (ROOT / "Dockerfile").read_text() == render(ROOT), "run oipserver dockerfile ."
    assert (ROOT / ".dockerignore").read_text() == DOCKERIGNORE
    assert is_ours(render(ROOT))


def test_models_are_no_layer_of_their_requirements(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").touch()
    (tmp_path / "requirements.txt").write_text("scipy\n")
    text = render(tmp_path)
    assert pip_words(text) == [[f"oipserver[onnx]=={__version__}", "-r", "/requirements/0.txt"]]
    assert text.index("RUN pip install") < text.index("COPY . /mnt/models")


@pytest.mark.parametrize("line", ["-r more.txt", "-e .", "./local.whl", "local @ file:local.whl", "-c versions.txt"])
def test_requirements_that_name_files_are_read_beside_them(tmp_path: Path, line: str) -> None:
    (tmp_path / "requirements.txt").write_text(f"scipy\n{line}\n")
    text = render(tmp_path)
    assert pip_words(text) == [[f"oipserver=={__version__}"], ["-r", "requirements.txt"]]
    assert text.index("COPY . /mnt/models") < text.index("WORKDIR /mnt/models") < text.rindex("RUN pip install")


def test_they_are_read_from_the_folder_they_stand_in(tmp_path: Path) -> None:
    """Which stays where it is, for what is installed to be edited."""
    model = tmp_path / "a $model"
    model.mkdir()
    (model / "model-settings.json").write_text('{"implementation": "models.MyModel"}')
    (model / "requirements.txt").write_text("./local.whl\n")
    (model / "environment.yml").write_text("dependencies:\n- pip:\n  - scipy\n  - -e .\n")
    text = render(tmp_path)
    assert "RUN cd 'a $model' && pip install \\\n    -r requirements.txt \\\n    -e .\n" in text
    assert "COPY --from=build /mnt/models /mnt/models" in text
    assert pip_words(text) == [[f"oipserver=={__version__}", "scipy"]]


def test_files_with_names_that_mean_more_to_a_builder(tmp_path: Path) -> None:
    model = tmp_path / "model[1]"
    model.mkdir()
    (model / "model-settings.json").write_text('{"implementation": "models.MyModel"}')
    (model / "requirements.txt").write_text("scipy\n")
    text = render(tmp_path)
    assert "RUN cd 'model[1]' && pip install \\\n    -r requirements.txt\n" in text
    assert 'COPY ["' not in text


def test_words_reach_pip_as_they_are(tmp_path: Path) -> None:
    odd = ["scipy>=1,<2; python_version < '4'", "--pre", "--find-links", "https://example.org/a b"]
    listed = "\n".join(f"    - {json.dumps(each)}" for each in (odd[0], odd[1], "--find-links https://example.org/x"))
    (tmp_path / "environment.yml").write_text(f"dependencies:\n- pip:\n{listed}\n")
    assert pip_words(render(tmp_path)) == [[f"oipserver=={__version__}", *odd[:3], "https://example.org/x"]]


def test_what_is_chosen_wins(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").touch()
    text = render(
        tmp_path, base_image="example.org/python:1", extras=frozenset({"torch"}), system_packages=("libgl1", "ffmpeg")
    )
    assert text.splitlines()[1] == "ARG BASE_IMAGE=example.org/python:1"
    assert pip_words(text) == [[f"oipserver[torch]=={__version__}"]]
    assert "--no-install-recommends libgl1 ffmpeg" in text
    assert pip_words(render(tmp_path, extras=frozenset())) == [[f"oipserver=={__version__}"]]


def test_an_image_for_gpus(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").touch()
    text = render(tmp_path, gpu=True)
    assert text.splitlines()[1].startswith("ARG BASE_IMAGE=nvidia/cuda:")
    assert "--no-install-recommends python3 python3-venv" in text
    assert gpu_note(needs_of(tmp_path)) is None
    (tmp_path / "environment.yml").write_text("dependencies: [python=3.13]\n")
    note = gpu_note(needs_of(tmp_path))
    assert note is not None
    assert "has Python 3.12, the models ask for 3.13: --base-image python:3.13-slim-bookworm" in note
    assert pip_words(text) == [[f"oipserver[cuda]=={__version__}"]]
    assert "NVIDIA_VISIBLE_DEVICES=all" in text
    assert "NVIDIA" not in render(tmp_path)


def test_the_python_of_the_models_is_that_of_the_image(tmp_path: Path) -> None:
    assert "ARG BASE_IMAGE=python:3.12-slim-bookworm" in render(tmp_path)
    (tmp_path / "environment.yml").write_text("dependencies: [python=3.13]\n")
    assert "ARG BASE_IMAGE=python:3.13-slim-bookworm" in render(tmp_path)


def test_lightgbm_brings_the_library_that_its_wheel_lacks(tmp_path: Path) -> None:
    assert "libgomp1" in render(tmp_path, extras=frozenset({"lightgbm"}))


def test_wheelhouses_inside_and_outside(tmp_path: Path) -> None:
    models, outside = tmp_path / "models", tmp_path / "wheels"
    inside = models / "the wheels"
    for folder in (inside, outside):
        folder.mkdir(parents=True)
    text = render(models, wheelhouse=inside)
    assert 'COPY ["the wheels", "/wheels"]' in text
    assert "rm -rf '/mnt/models/the wheels'" in text
    assert "COPY --from=wheelhouse . /wheels" in render(models, wheelhouse=outside)
    odd = models / "$HOME*"  # a builder would look for another
    odd.mkdir()
    assert "COPY --from=wheelhouse . /wheels" in render(models, wheelhouse=odd)
    assert "PIP_NO_INDEX=1" in text


def test_ports_and_health_follow_the_settings(tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_text('{"http_port": 9000, "grpc_port": 9001, "metrics_endpoint": null}')
    text = render(tmp_path)
    assert "EXPOSE 9000 9001\n" in text
    assert "'OIPSERVER_HTTP_PORT', '9000'" in text
    (tmp_path / "settings.json").write_text('{"ssl_certfile": "server.pem"}')
    assert "socket.create_connection" in render(tmp_path)


def test_notes_stand_at_the_head(tmp_path: Path) -> None:
    (tmp_path / "environment.yml").write_text("dependencies: [cudatoolkit=11]\n")
    notes = [line for line in render(tmp_path).splitlines() if line.startswith("# Note: ")]
    assert any("cudatoolkit" in note for note in notes)
    assert all(str(tmp_path) not in note for note in notes)


def test_names_say_nothing_to_a_builder(tmp_path: Path) -> None:
    folder = tmp_path / "möbel $HOME"
    folder.mkdir()
    for number, name in enumerate(('a RUN "$(id)"', "b\nRUN true")):
        (folder / str(number)).mkdir()
        settings = {"name": name, "implementation": "x.Y"}
        (folder / str(number) / "model-settings.json").write_text(json.dumps(settings))
    (folder / "environment.yml").write_text(
        "dependencies: [pip: ['scipy\n\n  RUN true']]\nvariables: {A: \"\\nRUN $B\"}\n"
    )
    text = render(folder)
    assert not [line for line in text.splitlines() if line.startswith(('RUN "', "RUN true", "RUN $"))]
    assert r'ENV A="RUN \$B"' in text
    assert r'image.title="möbel \$HOME"' in text
    assert r'image.description="Serves a RUN \"\$(id)\""' in text
