"""MLflow's scoring protocol: what ``mlflow models serve`` was seen to answer, by models of ours and by MLflow's own."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import numpy as np
import pytest

from tests.support.server_process import ServerProcess

pytestmark = pytest.mark.process

ROW = {"a": 1.0, "b": 2, "c": 3, "d": 4}
JSON = "application/json"
BAD, INVALID = "BAD_REQUEST", "INVALID_PARAMETER_VALUE"
SPLIT = {"dataframe_split": {"columns": ["a", "b", "c", "d"], "data": [[1, 2, 3, 4], [-9, 0, 0, 0]]}}

ANSWERED: list[tuple[Any, str, list[int]]] = [
    (SPLIT, JSON, [1, 0]),
    ({"dataframe_records": [ROW]}, JSON, [1]),
    ({"inputs": {name: [value] for name, value in ROW.items()}}, JSON, [1]),
    ({"inputs": [ROW]}, JSON, [1]),
    ({"instances": [ROW]}, JSON, [1]),
    (b"a,b,c,d\n1,2,3,4\n-9,0,0,0\n", "text/csv", [1, 0]),
    ({"dataframe_records": [ROW]}, "application/json; charset=utf-8", [1]),
    ({"dataframe_records": [ROW | {"extra": "x"}]}, JSON, [1]),
    ({"dataframe_split": {"columns": ["d", "c", "b", "a"], "data": [[4, 3, 2, 1]]}}, JSON, [1]),
]
REFUSED: list[tuple[Any, str, int, str, str]] = [
    ({"instances": [[1.0, 2, 3, 4]]}, JSON, 400, INVALID, "Model is missing inputs ['a', 'b', 'c', 'd']"),
    ({"dataframe_records": [{"a": 1.0}]}, JSON, 400, INVALID, "Model is missing inputs ['b', 'c', 'd']."),
    (b"a,b\n1,2\n", "text/csv", 400, INVALID, "Model is missing inputs ['c', 'd']"),
    ({"dataframe_records": []}, JSON, 400, INVALID, "Model is missing inputs"),
    ({"dataframe_records": [ROW | {"a": "x"}]}, JSON, 400, BAD, "Failed to convert column a to type 'float64'"),
    ({"foo": 1}, JSON, 400, BAD, "exactly one of the input fields"),
    ([1], JSON, 400, BAD, "Received a list"),
    (b"{bad", JSON, 400, BAD, "Ensure that input is a valid JSON formatted string"),
    (b"5", JSON, 400, BAD, "unexpected input type"),
    ({"inputs": [1], "instances": [2]}, JSON, 400, BAD, "exactly one of the input fields"),
    ({"dataframe_split": [1]}, JSON, 400, BAD, "Dataframe split format must be a dictionary"),
    ({"dataframe_split": {"data": [[1]], "x": 1}}, JSON, 400, BAD, "'columns' and 'index' fields"),
    ({"dataframe_split": {"columns": ["a"], "data": [[1, 2]]}}, JSON, 400, BAD, "not a valid dataframe representation"),
    ({"dataframe_records": {"a": 1}}, JSON, 400, BAD, "must be a list of records"),
    ({}, "text/plain", 415, "", "This predictor only supports the following content types: Types: ['text/csv', "),
    ({}, "", 415, "", "Got ''."),
    ({}, "application/json; charset=latin-1", 415, "", "The scoring server only supports UTF-8"),
    ({}, "application/json; format=pandas-split", 415, "", "Unrecognized content type parameters: format. IMPORTANT"),
]


def post(server: ServerProcess, model: str, body: Any, content_type: str = JSON, **headers: str) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    path = f"/models/{model}/invocations" if model else "/invocations"
    return httpx.post(server.url(path), content=content, headers={"content-type": content_type, **headers}, timeout=30)


@pytest.fixture(scope="module")
def by_mlflow(mlflow_models: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A server whose only model is the first one's twin, run by MLflow itself."""
    root = tmp_path_factory.mktemp("by-mlflow")
    parameters = {"uri": str(mlflow_models / "sk_df"), "extra": {"engine": "pyfunc"}}
    settings = {"name": "twin", "implementation": "mlflow", "parameters": parameters}
    (root / "model-settings.json").write_text(json.dumps(settings))
    with ServerProcess(root) as server:
        yield server


@pytest.fixture(params=["native", "pyfunc"])
def target(request: pytest.FixtureRequest) -> tuple[ServerProcess, str]:
    """A server and the name to ask it by: the only model needs none."""
    if request.param == "native":
        return request.getfixturevalue("mlflow_server"), "sk_df"
    return request.getfixturevalue("by_mlflow"), ""


@pytest.mark.parametrize(("body", "content_type", "predictions"), ANSWERED)
def test_what_is_answered(target: Any, body: Any, content_type: str, predictions: list[int]) -> None:
    response = post(*target, body, content_type)
    assert (response.status_code, response.headers["content-type"]) == (200, JSON)
    assert response.json() == {"predictions": predictions}


@pytest.mark.parametrize(("body", "content_type", "status", "code", "message"), REFUSED)
def test_what_is_refused(target: Any, body: Any, content_type: str, status: int, code: str, message: str) -> None:
    response = post(*target, body, content_type)
    assert response.status_code == status
    if status == 415:
        assert response.headers["content-type"] == "text/plain; charset=utf-8"
        assert message in response.text
        return
    told = response.json()
    assert told["error_code"] == code
    assert message in told["message"]
    classes = ("KAM00", "INVALID_PARAMETER_VALUE") if code == BAD else ("KAM01", "SCHEMA_ENFORCEMENT_FAILED")
    assert (told["sqlstate"], told["error_class"]) == classes
    assert "stack_trace" not in told


def test_parquet(target: Any, tmp_path: Any) -> None:
    pd = pytest.importorskip("pandas", reason="pandas is not installed")
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    pd.DataFrame([ROW]).astype(float).to_parquet(tmp_path / "rows")
    body = (tmp_path / "rows").read_bytes()
    assert post(*target, body, "application/vnd.apache.parquet").json() == {"predictions": [1]}
    assert post(*target, b"no parquet", "application/vnd.apache.parquet").status_code == 400


def test_params(mlflow_server: ServerProcess) -> None:
    rows = {"inputs": [[1, 2, 3, 4]]}
    assert post(mlflow_server, "py_dict", rows | {"params": {"k": 3}}).json() == {
        "predictions": {"sum": [30.0], "n": [1]}
    }
    response = post(mlflow_server, "py_dict", rows | {"params": {"k": "x"}})
    assert response.status_code == 400
    assert response.json()["error_code"] == INVALID
    assert "Can not safely convert" in response.json()["message"]


@pytest.mark.parametrize("model", ["sk_df", "xgb_booster", "py_hint"])
def test_the_example_saved_with_a_model(mlflow_server: ServerProcess, mlflow_models: Any, model: str) -> None:
    body = (mlflow_models / model / "serving_input_example.json").read_bytes()
    assert len(post(mlflow_server, model, body).json()["predictions"]) == 2


def test_models_that_know_nothing_of_mlflow(mlflow_server: ServerProcess) -> None:
    rows = [[1.0, 2.0, 3.0, 4.0]]
    for form in ("inputs", "instances"):
        added = post(mlflow_server, "onnx_two", {form: {"x0": rows, "x1": rows}}).json()
        assert added == {"predictions": {"y": [[2.0, 4.0, 6.0, 8.0]]}}
    table = {"dataframe_records": [{"x0": rows[0], "x1": rows[0]}]}
    assert post(mlflow_server, "onnx_two", table).json() == {"predictions": [{"y": [2.0, 4.0, 6.0, 8.0]}]}
    one = post(mlflow_server, "onnx_external", {"inputs": rows}).json()["predictions"]["y"]
    assert np.array(one).shape == (1, 300)
    narrow = post(mlflow_server, "onnx_external", {"inputs": [[1.0]]})
    assert (narrow.status_code, narrow.json()["error_code"]) == (400, BAD)
    assert "unexpected shape for input 'x0'" in narrow.json()["message"]


def test_behind_a_query_and_a_prefix(serve: Any, mlflow_models: Any) -> None:
    server = serve(mlflow_models / "onnx_external", "--root-path", "/pre")
    body = {"inputs": [[1.0, 2.0, 3.0, 4.0]]}
    wanted = httpx.post(server.url("/invocations"), json=body).json()
    assert wanted["predictions"]["y"]
    for path in ("/pre/invocations", "/invocations?a=b", "/pre/models/onnx_external/invocations"):
        assert httpx.post(server.url(path), json=body).json() == wanted


def test_a_request_of_v2_is_answered_as_one(target: Any) -> None:
    columns = [{"name": name, "datatype": "FP64", "shape": [1], "data": [1.0]} for name in "abcd"]
    assert post(*target, {"inputs": columns}).json()["outputs"][0]["data"] == [1]


def test_bodies_that_form_a_batch_stay_apart(serve: Any, mlflow_models: Any, tmp_path: Any) -> None:
    parameters = {"uri": str(mlflow_models / "sk_df"), "extra": {"engine": "pyfunc"}}
    batched = {"name": "batched", "implementation": "mlflow", "parameters": parameters, "max_batch_size": 8}
    (tmp_path / "model-settings.json").write_text(json.dumps(batched | {"max_batch_time": 0.2}))
    server = serve(tmp_path)
    bodies = [SPLIT, {"foo": 1}, {"dataframe_records": [ROW]}] * 4
    with ThreadPoolExecutor(len(bodies)) as threads:
        answers = list(threads.map(lambda body: post(server, "", body), bodies))
    assert [answer.status_code for answer in answers] == [200, 400, 200] * 4
    assert [len(answer.json().get("predictions", ())) for answer in answers] == [2, 0, 1] * 4


def test_as_kserve_and_older_mlflow_start_it(serve: Any, mlflow_models: Any, tmp_path: Any) -> None:
    environ = {
        "MLSERVER_MODEL_IMPLEMENTATION": "mlserver_mlflow.MLflowRuntime",
        "MLSERVER_MODEL_URI": str(mlflow_models / "sk_df"),
        "MLSERVER_MODEL_NAME": "mlflow-model",
    }
    for root in (mlflow_models / "sk_df", tmp_path):
        server = serve(root, environ=environ)
        assert post(server, "mlflow-model", SPLIT).json() == {"predictions": [1, 0]}


def test_which_model(mlflow_server: ServerProcess) -> None:
    response = post(mlflow_server, "", SPLIT)
    assert response.status_code == 400
    assert "sk_df" in response.json()["message"]
    unknown = post(mlflow_server, "nobody", SPLIT)
    counted = httpx.get(f"http://{mlflow_server.metrics}/metrics").text
    assert 'path="/models/{model_name}/invocations"' in counted
    assert "/models/nobody" not in counted
    assert (unknown.status_code, unknown.json()["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")


def test_compressed_both_ways(mlflow_server: ServerProcess) -> None:
    import gzip

    table = {"columns": ["a", "b", "c", "d"], "data": [[1, 2, 3, 4]] * 500}
    body = gzip.compress(json.dumps({"dataframe_split": table}).encode())
    response = post(mlflow_server, "sk_df", body, **{"content-encoding": "gzip", "accept-encoding": "gzip"})
    assert response.headers["content-encoding"] == "gzip"
    assert response.json() == {"predictions": [1] * 500}


def test_health(mlflow_server: ServerProcess) -> None:
    import mlflow

    for path in ("/ping", "/health"):
        response = httpx.get(mlflow_server.url(path))
        assert (response.status_code, response.text, response.headers["content-type"]) == (200, "\n", JSON)
    assert httpx.get(mlflow_server.url("/version")).text == mlflow.__version__


def test_switched_off_or_told_which_model(serve: Any, mlflow_models: Any) -> None:
    models = mlflow_models / "onnx_two"
    off = serve(models, "--no-mlflow-routes")
    assert [httpx.get(off.url(path)).status_code for path in ("/ping", "/health", "/version")] == [404] * 3
    assert post(off, "", {"inputs": []}).status_code == 404
    needed = ("--http-restricted-api", "inference:key=secret")
    guarded = serve(models, "--mlflow-default-model", "nobody", *needed)
    assert post(guarded, "", SPLIT).status_code == 403
    assert "nobody" in post(guarded, "", SPLIT, key="secret").json()["message"]
