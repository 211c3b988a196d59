"""One corpus of requests to MLServer 1.7.1 and to oipserver, on one folder of models written for MLServer."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.comparison import ComparisonTests

from . import corpus_grpc, corpus_rest, environment, servers
from .answers import ask
from .comparison import SETTINGS, MLServerComparison

pytestmark = pytest.mark.process

CASES = [*corpus_rest.cases(), *corpus_grpc.cases()]


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> MLServerComparison:
    """Every case asked of both servers, without workers and with one."""
    try:
        installed = environment.find()
    except environment.MissingError as missing:
        pytest.skip(str(missing))
    found = MLServerComparison()
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
class TestAgainstMLServer(ComparisonTests):
    cases = CASES
