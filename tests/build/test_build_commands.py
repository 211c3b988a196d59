"""`oipserver build` and `oipserver dockerfile` on the command line; a script stands for the builder."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from oipserver import __version__
from oipserver.cli import main

BUILDER = """#!/bin/sh
case "$*" in
  "version --format {{.Server}}") test -z "$NO_ENGINE" && echo engine; exit ;;
  "buildx version") test -z "$NO_BUILDX" && echo buildx; exit ;;
  "image inspect"*) echo 123456789; exit ;;
  "images --noheading"*) echo 118 MB; exit ;;
esac
while [ $# -gt 1 ]; do
  [ "$1" = --file ] && cp "$2" "$RECORD/Dockerfile" && cp "$2".dockerignore "$RECORD/" 2>/dev/null
  shift
done
exit ${BUILDER_FAILS:-0}
"""


@pytest.fixture
def models(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "net.onnx").touch()
    return folder


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No program but the stand-ins of ``install`` can be found; what they are given lands here."""
    folder = tmp_path / "record"
    folder.mkdir()
    (tmp_path / "bin").mkdir()
    for name in ("sh", "cp"):
        (tmp_path / "bin" / name).symlink_to(f"/bin/{name}")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("RECORD", str(folder))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    return folder


def install(record: Path, *names: str) -> None:
    for name in names:
        program = record.parent / "bin" / name
        program.write_text(BUILDER)
        program.chmod(0o755)


@pytest.mark.parametrize("builder", ["docker", "podman", "buildah"])
def test_build(models: Path, record: Path, capfd: pytest.CaptureFixture[str], builder: str) -> None:
    install(record, builder)
    words = ["--no-cache", "--platform", "linux/arm64", "--", "--network", "host"]
    assert main(["build", str(models), "-t", "shop:1", *words]) == 0
    command, *_, built, _, run = capfd.readouterr().out.splitlines()
    given = shlex.split(command)
    assert given[:4] == [builder, "build", "--tag", "shop:1"]
    assert given[-6:] == ["--no-cache", "--platform", "linux/arm64", "--network", "host", str(models)]
    assert built == f"built shop:1, {'118' if builder == 'buildah' else '123'} MB"
    program = "docker" if builder == "docker" else "podman"
    assert run.startswith(f"  {program} run --rm -p 8080:8080")
    assert (record / "Dockerfile").read_text().startswith("# Written by oipserver")
    assert (record / "Dockerfile.dockerignore").exists()
    assert not list(record.parent.glob("oipserver-build-*"))
    assert [path.name for path in models.iterdir()] == ["net.onnx"]


def test_the_folders_own_dockerignore_counts(models: Path, record: Path) -> None:
    install(record, "podman")
    (models / ".dockerignore").touch()
    assert main(["build", str(models), "-t", "shop"]) == 0
    assert not (record / "Dockerfile.dockerignore").exists()


def test_wheels_outside_are_a_context_of_their_own(
    models: Path, record: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    install(record, "docker")
    (record / "one-1-py3-none-any.whl").touch()
    assert main(["build", str(models), "-t", "shop", "--gpu", "--wheelhouse", str(record)]) == 0
    told = capfd.readouterr().out
    assert f"--build-context wheelhouse={record}" in told
    assert "--gpus all" in told
    monkeypatch.setenv("NO_BUILDX", "1")
    assert main(["build", str(models), "-t", "shop", "--wheelhouse", str(record)]) == 1
    told = capfd.readouterr().err
    assert f"--wheelhouse {record} lies outside of {models}, which docker can read with buildx alone: install" in told


def test_a_docker_without_engine_is_passed_over(
    models: Path, record: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    install(record, "docker", "podman")
    monkeypatch.setenv("NO_ENGINE", "1")
    assert main(["build", str(models), "-t", "shop"]) == 0
    assert capfd.readouterr().out.startswith("podman build ")


def test_what_fails_leaves_its_dockerfile(
    models: Path, record: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    install(record, "podman")
    monkeypatch.setenv("BUILDER_FAILS", "17")
    assert main(["build", str(models), "-t", "shop"]) == 17
    last = capfd.readouterr().err.splitlines()[-1]
    assert last.startswith("oipserver: error: podman failed with exit code 17 and said why above; the Dockerfile is ")
    assert Path(last.split()[-1]).exists()


def test_a_builder_that_cannot_be_run(models: Path, record: Path, capfd: pytest.CaptureFixture[str]) -> None:
    program = record.parent / "bin" / "podman"
    program.write_bytes(b"no program")
    program.chmod(0o755)
    assert main(["build", str(models), "-t", "shop"]) == 1
    assert "oipserver: error: podman cannot be run: Exec format error" in capfd.readouterr().err


def test_without_a_builder_the_dockerfile_is_left(
    models: Path, record: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["build", str(models), "-t", "shop"]) == 1
    told = capfd.readouterr().err
    assert (
        f"but {models / 'Dockerfile'} is written. Install podman, docker or buildah and run this again; or run " in told
    )
    assert f"docker build --tag shop --file {models / 'Dockerfile'} {models}" in told
    assert told.count("; or ") == 2
    (models / "Dockerfile").write_text("FROM scratch\n")
    assert main(["build", str(models), "-t", "shop"]) == 1
    assert (models / "Dockerfile").read_text() == "FROM scratch\n"
    assert (models / "Dockerfile.oipserver").exists()


def test_without_a_builder_and_a_folder_to_write_to(
    models: Path, record: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (models / "Dockerfile").mkdir()
    (models / "Dockerfile.oipserver").mkdir()
    install(record, "docker")
    (record.parent / "bin" / "docker").write_text("#!/bin/sh\nexit 1\n")
    assert main(["build", str(models), "-t", "shop"]) == 1
    told = capfd.readouterr().err
    assert "; docker is here, but its engine does not answer), but " in told
    (written,) = record.parent.glob("oipserver-build-*/Dockerfile")
    assert f"but {written} is written" in told


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("-t", "x", "--builder", "buildah"), "buildah is not installed, or not in PATH"),
        (("-t", "x", "--runtimes", "sklaern"), "unknown extra 'sklaern'; did you mean 'sklearn'?"),
        (("-t", "x", "--wheelhouse", "missing"), "--wheelhouse missing is no folder"),
        (("-t", "x", "--no-cach"), "did you mean '--no-cache'?"),
        (("-t", "x", "--wheelhouse", "."), "--wheelhouse . has no wheels"),
        (("-t", "Shop"), "'Shop' names no image: expected one like shop/models:1, in small letters"),
        (("-t", "x", "--base-image", "a\nRUN true"), "names no image"),
        (("-t", "x", "--system-packages", "a;true"), "--system-packages: 'a;true' names no package"),
        (("-t", "x", "--system-packages=-o=x"), "names no package"),
        ((), "-t/--tag"),
    ],
)
def test_mistakes(
    models: Path, record: Path, capfd: pytest.CaptureFixture[str], words: tuple[str, ...], complaint: str
) -> None:
    assert main(["build", str(models), *words]) in (1, 2)
    assert complaint in capfd.readouterr().err


def test_dockerfile_writes_over_its_own_alone(models: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path, ignore = models / "Dockerfile", models / ".dockerignore"
    assert main(["dockerfile", str(models)]) == 0
    assert not ignore.exists()
    assert main(["dockerfile", str(models), "--include-dockerignore", "--runtimes", "sklearn"]) == 0
    assert "oipserver[sklearn]" in path.read_text()
    assert ignore.exists()
    ignore.write_text("mine\n")
    assert main(["dockerfile", str(models), "-i"]) == 0
    assert ignore.read_text() == "mine\n"
    path.write_text("FROM scratch\n")
    assert main(["dockerfile", str(models)]) == 1
    assert path.read_text() == "FROM scratch\n"
    assert "--force overwrites it" in capfd.readouterr().err
    assert main(["dockerfile", str(models), "--force"]) == 0
    assert path.read_text() != "FROM scratch\n"


def test_dockerfile_says_how_it_is_built(models: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["dockerfile", str(models)]) == 0
    assert capfd.readouterr().out.splitlines()[-1] == f"  docker build -t TAG {models}"
    (tmp_path / "one-1-py3-none-any.whl").touch()
    assert main(["dockerfile", str(models), "--wheelhouse", str(tmp_path)]) == 0
    words = ["--build-context", f"wheelhouse={tmp_path}", str(models)]
    assert shlex.split(capfd.readouterr().out.splitlines()[-1]) == ["docker", "build", "-t", "TAG", *words]


def test_an_oipserver_that_no_index_has_is_told(
    models: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The one under test was installed from its folder."""
    assert main(["dockerfile", str(models)]) == 0
    assert f"the image gets oipserver=={__version__} from the package index, not the one" in capfd.readouterr().err
    (tmp_path / "one-1-py3-none-any.whl").touch()
    assert main(["dockerfile", str(models), "--wheelhouse", str(tmp_path)]) == 0
    assert "package index" not in capfd.readouterr().err


def test_dockerfile_follows_no_link(models: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (models / "Dockerfile").symlink_to(tmp_path / "elsewhere")
    assert main(["dockerfile", str(models)]) == 1
    assert not (tmp_path / "elsewhere").exists()
    assert "was not written by this command" in capfd.readouterr().err


@pytest.mark.parametrize("name", ["docker.io/library/python:3.12-slim", "localhost:5000/a/b-c_d:1.0", "x@sha256:0af9"])
def test_names_of_images(models: Path, capfd: pytest.CaptureFixture[str], name: str) -> None:
    assert main(["dockerfile", str(models), "--base-image", name]) == 0
    assert f"ARG BASE_IMAGE={name}\n" in (models / "Dockerfile").read_text()


def test_a_build_that_is_terminated_ends_its_builder_first(models: Path, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "podman"
    program.write_text("#!/bin/sh\ntrap 'echo cleared; exit 1' TERM\necho begun\nwhile :; do sleep 0.05; done\n")
    program.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin"}
    command = [sys.executable, "-m", "oipserver", "build", str(models), "-t", "x", "--builder", "podman"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert "begun\n" in iter(process.stdout.readline, "")
        process.terminate()
        said = process.stdout.read()
    assert "cleared" in said
    assert process.returncode == 128 + signal.SIGTERM
