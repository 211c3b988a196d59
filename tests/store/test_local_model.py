"""Models in this process: what goes in, what comes out, and that a server's rules hold."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import oipserver
from oipserver.codecs import NumpyCodec
from oipserver.errors import InvalidArgumentError, ModelLoadError, NotFoundError, UnavailableError
from oipserver.store import Draft, ModelStore
from oipserver.store.local import LocalModel
from oipserver.types import InferenceRequest
from tests.store.mlmodels import save_onnx, save_sklearn

ONES = np.ones((2, 4), np.float32)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ModelStore:
    folder = tmp_path_factory.mktemp("local")
    store = ModelStore(folder / "models")
    oipserver.mlflow.import_model("add", save_onnx(folder / "onnx"), store=store)
    oipserver.mlflow.import_model("sum", save_sklearn(folder / "sklearn"), runtime="sklearn", store=store)
    return store


@pytest.fixture(scope="module")
def add(store: ModelStore) -> Iterator[LocalModel]:
    with oipserver.local("add:latest", store=store) as model:
        yield model


@pytest.fixture(scope="module")
def total(store: ModelStore) -> Iterator[LocalModel]:
    with oipserver.local("sum", store=store) as model:
        yield model


def test_arrays_by_name(add: LocalModel) -> None:
    by_keyword = add.predict(a=ONES, b=2 * ONES)
    np.testing.assert_array_equal(by_keyword["y"], 3 * ONES)
    np.testing.assert_array_equal(add.run({"a": ONES, "b": ONES})["y"], 2 * ONES)
    assert add.run({"a": ONES}, b=ONES, outputs=["y"]).model_name == "add"


def test_lists_have_the_type_that_the_model_wants(add: LocalModel, total: LocalModel) -> None:
    assert add.run({"a": [[1, 2, 3, 4]], "b": [[1, 1, 1, 1.5]]})["y"].tolist() == [[2.0, 3.0, 4.0, 5.5]]
    assert total.run([[1, 2]]).item() == pytest.approx(3.0)


def test_a_request_gives_a_response(add: LocalModel) -> None:
    inputs = [NumpyCodec.encode_input(name, ONES) for name in "ab"]
    response = add.run(InferenceRequest(id="one", inputs=inputs))
    assert (response.id, response.model_name, response.outputs[0].datatype) == ("one", "add", "FP32")
    np.testing.assert_array_equal(NumpyCodec.decode_output(response.outputs[0]), 2 * ONES)


def test_a_table(total: LocalModel) -> None:
    np.testing.assert_allclose(total.predict(pd.DataFrame({"x": [1.0, 3.0], "z": [2.0, 4.0]})).ravel(), [3.0, 7.0])
    np.testing.assert_allclose(total.predict(pd.DataFrame({"x": [1, 3], "z": [2, 4]})).ravel(), [3.0, 7.0])


def test_as_a_runner(store: ModelStore) -> None:
    runner = oipserver.mlflow.get("sum:latest", store=store).to_runner()
    with pytest.raises(UnavailableError, match="init_local"):
        runner.predict.run([[1.0, 2.0]])
    runner.init_local()
    assert runner.predict.run([[1.0, 2.0]]).item() == pytest.approx(3.0)
    assert asyncio.run(runner.predict.async_run([[1.0, 2.0]])).item() == pytest.approx(3.0)
    runner.close()
    with pytest.raises(UnavailableError):
        runner.run([[1.0, 2.0]])


async def _many(model: LocalModel) -> list[float]:
    answers = await asyncio.gather(*(model.async_run([[float(number), 1.0]]) for number in range(20)))
    return [answer.item() for answer in answers]


def test_from_event_loops_and_threads(total: LocalModel) -> None:
    assert asyncio.run(_many(total)) == pytest.approx([number + 1.0 for number in range(20)])
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda number: total.run([[number, 1.0]]).item(), range(40)))
    assert answers == pytest.approx([number + 1.0 for number in range(40)])


@pytest.mark.parametrize(
    ("arrays", "reason"),
    [
        ({"a": ONES, "b": ONES.astype(np.float64)}, "data-type is 'FP64', but model 'add' expects 'FP32'"),
        ({"a": ONES, "b": ONES[:, :3]}, r"Expected \[-1,4\], got \[2,3\]"),
        ({"a": ONES}, r"missing required input\(s\) \['b'\]"),
        ({"a": ONES, "b": ONES, "c": ONES}, "unexpected inference input 'c'"),
    ],
)
def test_inputs_are_checked_as_a_server_does(add: LocalModel, arrays: dict[str, np.ndarray], reason: str) -> None:
    with pytest.raises(InvalidArgumentError, match=reason):
        add.run(arrays)


def test_an_array_and_names_do_not_go_together(add: LocalModel) -> None:
    with pytest.raises(InvalidArgumentError, match="one array, or arrays by name"):
        add.run(ONES, b=ONES)


def test_what_a_model_tells(add: LocalModel) -> None:
    assert [(tensor.name, tensor.datatype, tensor.shape) for tensor in add.metadata.inputs] == [
        ("a", "FP32", (-1, 4)),
        ("b", "FP32", (-1, 4)),
    ]


def test_folders_and_files(store: ModelStore) -> None:
    folder = store.get("add").path
    for place in (folder, str(folder), folder / "mlflow_model" / "model.onnx"):
        with oipserver.local(place) as model:
            np.testing.assert_array_equal(model.run(a=ONES, b=ONES)["y"], 2 * ONES)
    with pytest.raises(InvalidArgumentError, match=r"expected one model in .*, found add:\d+, sum:\d+"):
        oipserver.local(store.root)
    with pytest.raises(NotFoundError, match="there is no nowhere/at/all"):
        oipserver.local("nowhere/at/all")
    with pytest.raises(NotFoundError, match="there is no model 'nowhere'"):
        oipserver.local("nowhere", store=store)


def test_a_model_that_cannot_be_loaded_leaves_no_thread(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    store.add("broken", lambda folder: Draft({"implementation": "onnx"}))
    before = threading.active_count()
    with pytest.raises(ModelLoadError, match="'broken'"):
        oipserver.local("broken", store=store)
    assert threading.active_count() == before
