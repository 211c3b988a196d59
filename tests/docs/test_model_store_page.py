"""What docs/model-store.md shows is so: its commands and its Python run, its options exist."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from oipserver.cli import main
from oipserver.cli.store import VERBS
from tests.store.mlmodels import save_sklearn

PAGE = (Path(__file__).parents[2] / "docs" / "model-store.md").read_text()
BLOCK = re.compile(r"<!-- (run|python) -->\n```\w+\n(.*?)```", re.DOTALL)


def test_the_commands_and_the_code_run(tmp_path: Path) -> None:
    save_sklearn(tmp_path / "my_model")
    environ = {**os.environ, "OIPSERVER_HOME": str(tmp_path / "home"), "PYTHON": sys.executable}
    alias = 'oipserver() { "$PYTHON" -m oipserver "$@"; }\n'
    printed = []
    for kind, code in BLOCK.findall(PAGE):
        command = ["bash", "-ec", alias + code] if kind == "run" else [sys.executable, "-c", code]
        done = subprocess.run(command, capture_output=True, text=True, timeout=100, cwd=tmp_path, env=environ)
        assert done.returncode == 0, done.stderr
        printed.append(done.stdout.splitlines())
    first, code, elsewhere = printed
    assert first[0] == "imported iris:v1"
    assert first[2].split() == ["iris:v1", "mlflow", *first[2].split()[2:]]
    assert first[2].endswith("stage=prod")
    assert first[-1] == str(tmp_path / "home" / "models" / "iris" / "v1")
    path, answer = code
    assert re.fullmatch(rf"{tmp_path}/home/models/iris/\d{{17}}/mlflow_model", path)
    np.testing.assert_allclose(float(answer.strip("[]")), 3.0)
    assert [line.split()[0] for line in elsewhere] == ["pushed", "pulled", "exported"]


def test_every_verb_and_option_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert set(re.findall(r"`(?:oipserver )?models ([a-z]+)[ `]", PAGE)) == set(VERBS)
    with pytest.raises(SystemExit):
        main(["models", "import", "--help"])
    known = set(re.findall(r"--[a-z-]+", capsys.readouterr().out))
    table = PAGE[PAGE.index("| option |") : PAGE.index("ONNX models go to")]
    told = set(re.findall(r"--[a-z-]+", table)) - {"---"}
    assert told <= known
    assert known - told <= {"--help", "--store", "--label", "--runtime"}, "-l and -f are told by their short names"
