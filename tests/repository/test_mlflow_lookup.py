"""What a URI of MLflow's means: told without MLflow where it names a version; failures name no password."""

import os
import subprocess
import sys

import pytest

from oipserver.repository.mlflow_lookup import Origin, registered_name, resolve


@pytest.mark.parametrize(
    ("uri", "origin"),
    [
        ("models:/m/12", Origin("models:/m/12", "models:/m/12", "m", "12")),
        ("models:/a@b/1", Origin("models:/a@b/1", "models:/a@b/1", "a@b", "1")),
        ("models:/m-0123abcd", Origin("models:/m-0123abcd", "models:/m-0123abcd")),
        ("runs:/1/model", Origin("runs:/1/model", "runs:/1/model")),
        ("s3://bucket/models:/m/1", Origin("s3://bucket/models:/m/1", "s3://bucket/models:/m/1")),
    ],
)
def test_what_needs_no_question(uri: str, origin: Origin) -> None:
    assert resolve(uri) == origin
    assert registered_name(uri) == origin.registered_name


def printed(code: str, **environ: str) -> list[str]:
    """The lines that ``code`` prints in a process of its own: MLflow keeps what it is told."""
    command = [sys.executable, "-c", "from oipserver.repository.mlflow_lookup import *\n" + code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, **environ})
    return done.stdout.splitlines()


_WITHOUT_MLFLOW = """
import sys
sys.modules["mlflow"] = None
try:
    resolve("models:/m@best")
except InvalidArgumentError as error:
    print(error.message)
"""


def test_without_mlflow_an_alias_cannot_be_told() -> None:
    (line,) = printed(_WITHOUT_MLFLOW)
    assert line.startswith("models:/m@best needs MLflow, which cannot be imported (")
    assert line.endswith('): pip install "oipserver[mlflow]"')


_FAILING = """
def fail(kind):
    raise kind("no\\nsuch   thing")

for kind in (ValueError, NotFoundError):
    try:
        asking("models:/m/1", fail, kind)
    except OIPError as error:
        print(type(error).__name__, repr(error.message))
"""


def test_what_mlflow_says_comes_with_where_it_looked_and_no_password() -> None:
    pytest.importorskip("mlflow", reason="MLflow is not installed: pip install mlflow")
    place = "https://registry.example:8080/path"
    assert printed(_FAILING, MLFLOW_REGISTRY_URI=place.replace("//", "//me:secret@")) == [
        f"InvalidArgumentError 'MLflow cannot get models:/m/1: no such thing (tracking server: {place})'",
        r"NotFoundError 'no\nsuch   thing'",
    ]
