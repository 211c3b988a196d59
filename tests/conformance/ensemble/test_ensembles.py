"""Ensembles over both wires: chains and diamonds, their statistics, members that fail, leave and come back."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc as grpc_client
import tritonclient.http as http_client
from tritonclient.utils import InferenceServerException

from tests.conformance.ensemble.ensemble_models import CHAIN, DIAMOND, write_ensemble, write_step_model, write_sum_model
from tests.conformance.sequence.sequence_models import write_accumulator
from tests.support.server_process import ServerProcess

pytestmark = pytest.mark.process

CLIENTS: dict[str, Any] = {"http": http_client, "grpc": grpc_client}
ROW = np.array([[1, 2, 3, 4]], np.float32)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ensembles")
    for kind in ("double", "increment", "negate"):
        write_step_model(folder, kind)
    write_sum_model(folder)
    write_ensemble(folder, "chain", CHAIN)
    write_ensemble(folder, "a_diamond", DIAMOND, outputs=("OUT", "doubled"))
    write_ensemble(folder, "unbatched", CHAIN, max_batch_size=0, dims="-1, 4")
    write_ensemble(
        folder, "of_ensembles", [("chain", {"IN": "IN"}, {"OUT": "m"}), ("a_diamond", {"IN": "m"}, {"OUT": "OUT"})]
    )
    write_accumulator(folder, "accumulator")
    write_ensemble(
        folder,
        "sequences",
        [("accumulator", {"INPUT": "IN"}, {"OUTPUT": "OUT"})],
        datatype="TYPE_INT32",
        dims="1",
    )
    return folder


@pytest.fixture(scope="module")
def server(root: Path) -> Iterator[ServerProcess]:
    with ServerProcess(root, "--model-control-mode", "explicit", "--load-model", "*") as process:
        yield process


@pytest.fixture(params=sorted(CLIENTS))
def client(server: ServerProcess, request: pytest.FixtureRequest) -> Iterator[Any]:
    module = CLIENTS[request.param]
    with module.InferenceServerClient(server.http if request.param == "http" else server.grpc) as found:
        found.module = module
        yield found


def ask(client: Any, model: str, array: Any = ROW, outputs: tuple[str, ...] = (), **more: Any) -> Any:
    tensor = client.module.InferInput("IN", list(array.shape), "INT32" if array.dtype == np.int32 else "FP32")
    tensor.set_data_from_numpy(array)
    asked = [client.module.InferRequestedOutput(name) for name in outputs] or None
    return client.infer(model, [tensor], outputs=asked, **more)


def statistics(client: Any, model: str) -> Any:
    if client.module is http_client:
        (found,) = client.get_inference_statistics(model)["model_stats"]
        return found
    (found,) = client.get_inference_statistics(model, as_json=True)["model_stats"]
    return found


def test_a_chain(client: Any) -> None:
    answer = ask(client, "chain", request_id="mine")
    np.testing.assert_array_equal(answer.as_numpy("OUT"), -(ROW * 2 + 1))
    response = answer.get_response()
    assert (response["id"] if isinstance(response, dict) else response.id) == "mine"


def test_a_diamond_with_a_tensor_between_as_output(client: Any) -> None:
    answer = ask(client, "a_diamond")
    np.testing.assert_array_equal(answer.as_numpy("OUT"), ROW * 3 + 1)
    np.testing.assert_array_equal(answer.as_numpy("doubled"), ROW * 2)
    only = ask(client, "a_diamond", outputs=("doubled",))
    assert only.as_numpy("OUT") is None
    np.testing.assert_array_equal(only.as_numpy("doubled"), ROW * 2)


@pytest.mark.parametrize("rows", [1, 3, 8])
def test_ensembles_of_ensembles_and_rows(client: Any, rows: int) -> None:
    array = np.arange(rows * 4, dtype=np.float32).reshape(rows, 4)
    np.testing.assert_array_equal(ask(client, "of_ensembles", array).as_numpy("OUT"), -(array * 2 + 1) * 3 + 1)


def test_an_ensemble_without_batches_over_models_with_them(client: Any) -> None:
    array = np.ones((3, 4), np.float32)
    np.testing.assert_array_equal(ask(client, "unbatched", array).as_numpy("OUT"), -(array * 2 + 1))


def test_sequences_pass_through(client: Any) -> None:
    got = [
        int(ask(client, "sequences", np.full((1, 1), number, np.int32), sequence_id=9, sequence_start=number == 1,
                sequence_end=number == 3).as_numpy("OUT")[0, 0])
        for number in (1, 2, 3)
    ]  # fmt: skip
    assert got == [1, 3, 6 + 9]
    with pytest.raises(
        InferenceServerException, match=r"in ensemble 'sequences', step 0 \(model 'accumulator'\): .*START"
    ):
        ask(client, "sequences", np.full((1, 1), 1, np.int32), sequence_id=9)


def test_metadata_is_the_configurations(client: Any) -> None:
    metadata = client.get_model_metadata("chain", **({} if client.module is http_client else {"as_json": True}))
    assert metadata["platform"] == "ensemble"
    (tensor,) = metadata["inputs"]
    assert (tensor["name"], tensor["datatype"], [int(dim) for dim in tensor["shape"]]) == ("IN", "FP32", [-1, 4])


def test_members_and_ensemble_count_for_themselves(client: Any) -> None:
    names = ("chain", "double", "increment", "negate")
    before = [int(statistics(client, name).get("execution_count", 0)) for name in names]
    ask(client, "chain")
    assert [int(statistics(client, name)["execution_count"]) for name in names] == [count + 1 for count in before]


def test_a_wrong_input_is_the_clients_mistake(client: Any) -> None:
    with pytest.raises(InferenceServerException) as caught:
        ask(client, "chain", np.ones((1, 5), np.float32))
    assert caught.value.status() in ("400", "StatusCode.INVALID_ARGUMENT")


def test_many_at_once(server: ServerProcess) -> None:
    def one(number: int) -> bool:
        with grpc_client.InferenceServerClient(server.grpc) as client:
            client.module = grpc_client
            row = np.full((1, 4), number, np.float32)
            return all((ask(client, "a_diamond", row).as_numpy("OUT") == row * 3 + 1).all() for _ in range(10))

    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(one, range(12)))


def test_a_member_that_leaves_and_comes_back(client: Any) -> None:
    """An ensemble leaves with its member, and comes back with it unless a client unloaded the ensemble too."""
    client.unload_model("negate")
    assert not client.is_model_ready("chain")
    with pytest.raises(InferenceServerException) as caught:
        ask(client, "chain")
    assert caught.value.status() in ("404", "StatusCode.NOT_FOUND")
    client.load_model("negate")
    assert client.is_model_ready("chain")
    client.unload_model("negate")
    client.unload_model("chain")
    client.load_model("negate")
    assert not client.is_model_ready("chain")
    client.load_model("chain")
    client.unload_model("negate")
    client.load_model("chain")  # and so does the member with the ensemble
    np.testing.assert_array_equal(ask(client, "chain").as_numpy("OUT"), -(ROW * 2 + 1))


def test_loading_an_ensemble_loads_its_members(client: Any) -> None:
    for name in ("of_ensembles", "chain", "a_diamond", "negate"):
        client.unload_model(name)
    client.load_model("of_ensembles")
    assert client.is_model_ready("negate")
    assert ask(client, "of_ensembles").as_numpy("OUT").shape == (1, 4)
    client.load_model("a_diamond")
