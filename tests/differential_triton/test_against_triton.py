"""One corpus of requests to Triton 2.51 and to oipserver, on one repository of models for its Python backend."""

from __future__ import annotations

from pathlib import Path

import pytest

from . import corpus_extensions, corpus_grpc, corpus_rest, environment, repository, servers
from .answers import ask
from .comparison import Comparison

pytestmark = pytest.mark.process

CASES = [*corpus_rest.cases(), *corpus_extensions.cases(), *corpus_grpc.cases()]


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    """Every case asked of both servers."""
    folder: Path = tmp_path_factory.mktemp("triton")
    try:
        installed = environment.find(folder)
    except environment.MissingError as missing:
        pytest.skip(str(missing))
    models = repository.write(folder / "models")
    found = Comparison()
    with servers.triton(installed, models, folder / "log") as theirs, servers.oipserver(models) as ours:
        for name, case in CASES:
            found.add(name, ask(theirs, case), ask(ours, case))
    return found


@pytest.mark.timeout(600)
def test_every_difference_is_intended(comparison: Comparison) -> None:
    assert not comparison.unintended, "not in differences.json:\n" + "\n".join(comparison.unintended)


def test_every_intended_difference_occurs(comparison: Comparison) -> None:
    gone = list(comparison.not_occurred())
    assert not gone, "in differences.json, but no longer so:\n" + "\n".join(gone)


def test_names_of_cases_are_unique() -> None:
    assert len(dict(CASES)) == len(CASES)
