"""One corpus of requests to Triton 2.51 and to oipserver, on one repository of models for its Python backend."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.comparison import ComparisonTests

from . import corpus_extensions, corpus_grpc, corpus_rest, environment, repository, servers
from .answers import ask
from .comparison import TritonComparison

pytestmark = pytest.mark.process

CASES = [*corpus_rest.cases(), *corpus_extensions.cases(), *corpus_grpc.cases()]


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> TritonComparison:
    """Every case asked of both servers."""
    folder: Path = tmp_path_factory.mktemp("triton")
    try:
        installed = environment.find(folder)
    except environment.MissingError as missing:
        pytest.skip(str(missing))
    models = repository.write(folder / "models")
    found = TritonComparison()
    with servers.triton(installed, models, folder / "log") as theirs, servers.oipserver(models) as ours:
        for name, case in CASES:
            found.add(name, ask(theirs, case), ask(ours, case))
    return found


@pytest.mark.timeout(600)
class TestAgainstTriton(ComparisonTests):
    cases = CASES
