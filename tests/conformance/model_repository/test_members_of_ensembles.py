"""Loading an ensemble loads what it is made of; unloading it with its dependents unloads what was loaded for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tritonclient.utils import InferenceServerException

from tests.conformance.ensemble.ensemble_models import CHAIN, write_ensemble, write_step_model
from tests.conformance.model_repository.clients import WIRES, Client
from tests.support.server_process import ServerProcess

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    root: Path = tmp_path_factory.mktemp("ensembles")
    for kind in ("double", "increment", "negate"):
        write_step_model(root, kind)
    write_ensemble(root, "chain", CHAIN)
    write_ensemble(root, "twin", CHAIN)
    write_ensemble(root, "outer", [("chain", {"IN": "IN"}, {"OUT": "OUT"})])
    write_ensemble(root, "egg", [("hen", {"IN": "IN"}, {"OUT": "OUT"})])
    write_ensemble(root, "hen", [("egg", {"IN": "IN"}, {"OUT": "OUT"})])
    write_ensemble(root, "orphan", [("double", {"x": "IN"}, {"y": "m"}), ("nobody", {"IN": "m"}, {"OUT": "OUT"})])
    with ServerProcess(root, "--model-control-mode", "explicit") as process:
        yield process


@pytest.fixture(params=WIRES)
def client(request: pytest.FixtureRequest, server: ServerProcess) -> Iterator[Client]:
    found = Client(request.param, server)
    yield found
    for row in found.index():
        found.client.unload_model(row["name"])


def ready(client: Client) -> set[str]:
    return {row["name"] for row in client.index() if row.get("state") == "READY"}


def test_members_come_and_go_with_their_ensemble(client: Client) -> None:
    client.client.load_model("outer")
    assert ready(client) == {"outer", "chain", "double", "increment", "negate"}
    client.client.unload_model("outer", unload_dependents=True)
    assert ready(client) == set()


def test_members_stay_where_nobody_says_otherwise(client: Client) -> None:
    client.client.load_model("chain")
    client.client.unload_model("chain")
    assert ready(client) == {"double", "increment", "negate"}


def test_members_that_others_need_or_a_client_asked_for_stay(client: Client) -> None:
    client.client.load_model("chain")
    client.client.load_model("twin")
    client.client.load_model("double")
    client.client.unload_model("chain", unload_dependents=True)
    assert ready(client) == {"twin", "double", "increment", "negate"}
    client.client.unload_model("twin", unload_dependents=True)
    assert ready(client) == {"double"}


def test_ensembles_leave_and_come_back_with_a_member(client: Client) -> None:
    client.client.load_model("outer")
    client.client.load_model("twin")
    client.client.unload_model("twin")
    client.client.unload_model("double")
    assert ready(client) == {"increment", "negate"}
    client.client.load_model("double")
    assert ready(client) == {"outer", "chain", "double", "increment", "negate"}
    client.client.unload_model("outer", unload_dependents=True)
    assert ready(client) == {"double"}


def test_ensembles_of_each_other(client: Client) -> None:
    with pytest.raises(InferenceServerException, match="circular dependency between ensembles: egg -> hen -> egg"):
        client.client.load_model("egg")
    assert ready(client) == set()


def test_a_member_that_is_nowhere(client: Client) -> None:
    expected = "ensemble 'orphan' depends on 'nobody' which has no loaded version. Model 'nobody' loading failed"
    with pytest.raises(InferenceServerException, match=expected):
        client.client.load_model("orphan")
    assert "orphan" not in ready(client)


def test_everything_at_once(server: ServerProcess) -> None:
    """All models load at start, whatever needs what; those that cannot be are told and hold nobody up."""
    with ServerProcess(server.root, "--model-control-mode", "none") as process:
        client = Client("http", process)
        assert ready(client) == {"chain", "twin", "outer", "double", "increment", "negate"}
        reasons = {row["name"]: row.get("reason", "") for row in client.index() if row["name"] not in ready(client)}
        assert set(reasons) == {"egg", "hen", "orphan"}
        assert "circular dependency between ensembles" in reasons["egg"]
        assert "depends on 'nobody' which has no loaded version" in reasons["orphan"]
        assert not client.client.is_server_ready()
