"""Conda's packages in the words of pip."""

from __future__ import annotations

from pathlib import Path

import pytest

from oipserver.build.conda import read_environment


def read(folder: Path, *packages: str) -> tuple[str | None, list[str], list[str]]:
    path = folder / "environment.yml"
    path.write_text("dependencies:\n" + "".join(f"  - {each}\n" for each in packages))
    found = read_environment(path)
    return found.python, found.requirements, found.left_out


@pytest.mark.parametrize(
    ("conda", "pip"),
    [
        ("numpy", "numpy"),
        ("numpy=1.26", "numpy==1.26.*"),
        ("numpy=1.26.*", "numpy==1.26.*"),
        ("numpy==1.26.4", "numpy==1.26.4"),
        ("numpy=1.26.4=py311h64a7726_0", "numpy==1.26.4"),
        ("numpy>=1.26,<3", "numpy>=1.26,<3"),
        ("numpy >=1.26, <3", "numpy>=1.26,<3"),
        ("numpy 1.26.*", "numpy==1.26.*"),
        ("conda-forge::scikit-learn=1.5", "scikit-learn==1.5.*"),
        ("pytorch=2.6", "torch==2.6.*"),
        ("librosa", "librosa"),
    ],
)
def test_packages(tmp_path: Path, conda: str, pip: str) -> None:
    assert read(tmp_path, f'"{conda}"') == (None, [pip], [])


@pytest.mark.parametrize("word", ["python=3.12", "python=3.12.4", "python>=3.12,<3.13", "python 3.12.*"])
def test_python(tmp_path: Path, word: str) -> None:
    assert read(tmp_path, f'"{word}"') == ("3.12", [], [])


def test_what_pip_cannot_install_is_left_out(tmp_path: Path) -> None:
    told = read(tmp_path, "pip", "cudatoolkit=11", "_libgcc_mutex=0.1=main", "libgomp", "pip: [scipy, -r more.txt]")
    assert told == (None, ["scipy", "-r more.txt"], ["cudatoolkit", "_libgcc_mutex", "libgomp"])
