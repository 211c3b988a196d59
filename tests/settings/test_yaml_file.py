"""YAML files as plain data, and why they cannot be read."""

import sys
from pathlib import Path

import pytest

from oipserver.errors import InvalidArgumentError
from oipserver.settings.yaml_file import read_yaml, require_yaml


def test_plain_data(tmp_path: Path) -> None:
    pytest.importorskip("yaml", reason="PyYAML is not installed")
    path = tmp_path / "x.yaml"
    path.write_text("a: [1, b]\nc: {d: 2.5}\n")
    assert read_yaml(path, "build") == {"a": [1, "b"], "c": {"d": 2.5}}


@pytest.mark.parametrize(
    "text",
    [
        "a: [",
        "- " * 100_000,
        "!!python/object/apply:os.system [exit]",
        "a: 2020-13-45",
        "[" * 100_000,
        b"\xff\xfe\xff",
        b"a: \x00",
    ],
    ids=["unclosed", "too deep in blocks", "a class", "no date", "too deep", "no UTF-8", "NUL"],
)
def test_what_is_no_plain_data(tmp_path: Path, text: str | bytes) -> None:
    pytest.importorskip("yaml", reason="PyYAML is not installed")
    path = tmp_path / "x.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InvalidArgumentError) as caught:
        read_yaml(path, "build")
    assert caught.value.message.startswith(f"cannot read {path}: it is not YAML: ")
    assert "\n" not in caught.value.message


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="No such file"):
        read_yaml(tmp_path / "none", "build")


def test_without_pyyaml_it_is_said_what_brings_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(InvalidArgumentError, match=r'without PyYAML: pip install "oipserver\[mlflow\]"'):
        require_yaml(tmp_path / "MLmodel", "mlflow")
