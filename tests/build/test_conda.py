"""Conda's packages in the words of pip."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from oipserver.build.conda import read_environment
from oipserver.errors import InvalidArgumentError


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
        ("numpy 1.26.* py311*", "numpy==1.26.*"),
        ("numpy 1.26.4 py311h64a7726_0", "numpy==1.26.4"),
        ("numpy=1.26*", "numpy==1.26.*"),
        ("numpy >=1.26.*, <3.0a0", "numpy>=1.26,<3.0a0"),
        ("numpy !=1.26.*", "numpy!=1.26.*"),
        ("nvidia/label/cuda-12::numpy", "numpy"),
        ("conda-forge::scikit-learn=1.5", "scikit-learn==1.5.*"),
        ("pytorch=2.6", "torch==2.6.*"),
        ("librosa", "librosa"),
        ("python-graphviz", "graphviz"),
    ],
)
def test_packages(tmp_path: Path, conda: str, pip: str) -> None:
    assert read(tmp_path, f'"{conda}"') == (None, [pip], [])


@pytest.mark.parametrize(
    ("word", "python"),
    [
        ("python=3.12", "3.12"),
        ("python=3.11=*_cpython", "3.11"),
        ("python=3.12.4", "3.12"),
        ("python 3.13.*", "3.13"),
        ("python=3.9", "3.9"),
        # A choice is ours: the Python of the images, where it is among them.
        ("python>=3.12,<3.13", "3.12"),
        ("python>=3.8", "3.12"),
        ("python >=3.10, <3.12.0a0", "3.11"),
        ("python<=3.11.4", "3.11"),
        ("python!=3.12.*", "3.13"),
        ("python>3.12", "3.12"),
        ("python<3.11", "3.10"),
        ("python", None),
    ],
)
def test_python(tmp_path: Path, word: str, python: str | None) -> None:
    assert read(tmp_path, f'"{word}"') == (python, [], [])


FULL_EXPORT = """
_openmp_mutex=4.5=2_gnu blas=1.0=mkl libstdcxx-ng=13.2.0=h7e041cc_5 python_abi=3.11=4_cp311 pytorch-cuda=12.1=ha16c6d3_5
gcc_linux-64=13 r-base=4.3 qt6-main=6.7 libxgboost=2.1 aws-c-common=0.9 graphviz=9 font-ttf-ubuntu=0.83 xorg-libx11=1.8
"""


def test_what_full_exports_list(tmp_path: Path) -> None:
    words = FULL_EXPORT.split()
    _, requirements, left_out = read(tmp_path, *words, "pytorch=2.3.0=py3.11_cuda12.1_cudnn8.9.2_0", "libclang=18")
    assert requirements == ["torch==2.3.0", "libclang==18.*"]
    assert left_out == [word.partition("=")[0] for word in words]


def test_what_pip_cannot_install_is_left_out(tmp_path: Path) -> None:
    told = read(tmp_path, "pip", "cudatoolkit=11", "_libgcc_mutex=0.1=main", "libgomp", "pip: [scipy, -r more.txt]")
    assert told == (None, ["scipy", "-r more.txt"], ["cudatoolkit", "_libgcc_mutex", "libgomp"])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@example("numpy >=1,\n RUN true")
@given(st.text(st.characters(codec="utf-8")) | st.from_regex(r"[a-z:]{1,4}[=<>! ,.*0-9a-z|\n]{0,9}", fullmatch=True))
def test_whatever_a_file_says_is_one_line_or_an_error(tmp_path: Path, text: str) -> None:
    with suppress(InvalidArgumentError):
        _, requirements, left_out = read(tmp_path, json.dumps(text), json.dumps({"pip": [text]}))
        assert all(len(each.splitlines()) <= 1 for each in [*requirements, *left_out])
