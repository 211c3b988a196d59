"""One corpus of requests to MLServer 1.7.1 and to oipserver, on one folder of models written for MLServer."""

from __future__ import annotations

from pathlib import Path

import pytest

from . import corpus_grpc, corpus_rest, environment, servers
from .answers import ask
from .comparison import SETTINGS, Comparison

pytestmark = pytest.mark.process

CASES = [*corpus_rest.cases(), *corpus_grpc.cases()]


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    """Every case asked of both servers, without workers and with one."""
    try:
        installed = environment.find()
    except environment.MissingError as missing:
        pytest.skip(str(missing))
    found = Comparison()
    for workers in (0, 1):
        folder: Path = tmp_path_factory.mktemp(f"mlserver-{workers}")
        with (
            servers.mlserver(installed, workers, folder / "log") as theirs,
            servers.oipserver(workers, SETTINGS) as ours,
        ):
            for name, case in CASES:
                found.add(workers, name, ask(theirs, case), ask(ours, case))
    return found


@pytest.mark.timeout(600)
def test_every_difference_is_intended(comparison: Comparison) -> None:
    assert not comparison.unintended, "not in differences.json:\n" + "\n".join(comparison.unintended)


def test_every_intended_difference_occurs(comparison: Comparison) -> None:
    gone = list(comparison.not_occurred())
    assert not gone, "in differences.json, but no longer so:\n" + "\n".join(gone)


def test_names_of_cases_are_unique() -> None:
    assert len(dict(CASES)) == len(CASES)
