"""What is a path of this machine, and what is an address of something elsewhere."""

from pathlib import Path

import pytest

from oipserver.settings.places import local_path


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("models", "models"),
        ("./a:b", "a:b"),
        ("/srv/models:/x", "/srv/models:/x"),
        ("c:/models", "c:/models"),
        ("file:///srv/my%20models", "/srv/my models"),
        ("FILE:/srv", "/srv"),
        ("file://localhost/srv?x#y", "/srv"),
        ("file://[bad/srv", "/srv"),
        ("name:1", "name:1"),
    ],
)
def test_here(text: str, path: str) -> None:
    assert local_path(text) == Path(path)


@pytest.mark.parametrize("text", ["s3://bucket/x", "models:/m@best", "runs:/1/m", "gs://b", "mlflow-artifacts:/1"])
def test_elsewhere(text: str) -> None:
    assert local_path(text) is None
