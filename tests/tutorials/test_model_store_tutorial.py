"""A tutorial of another model server's MLflow integration, step by step with ours in its place: MLflow models into the
store, by every kind of URI, and what is done with them there. Against a tracking server on SQLite, and an S3."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import oipserver
from oipserver.cli import main
from oipserver.errors import InvalidArgumentError, NotFoundError
from tests.support.server_process import ServerProcess
from tests.support.tracking_server import TrackingServer

mlflow = pytest.importorskip("mlflow")
sklearn_linear = pytest.importorskip("sklearn.linear_model")

pytestmark = [pytest.mark.process, pytest.mark.slow]

QUICK = ["scikit-learn"]  # finding out what a model requires takes MLflow ten seconds
X = np.array([[1.0, 1.0], [1.0, 2.0], [2.0, 2.0], [2.0, 3.0]])
Y = X @ np.array([1.0, 2.0]) + 3


@pytest.fixture(scope="module")
def tracking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A tracking server that keeps everything in SQLite and a folder."""
    with TrackingServer(tmp_path_factory.mktemp("tracking"), proxied=True) as server:
        yield server.url


@pytest.fixture(autouse=True)
def workplace(tracking: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, with an empty store."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OIPSERVER_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking)
    mlflow.set_tracking_uri(tracking)
    return tmp_path


@pytest.fixture
def models(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """What ``oipserver models`` prints."""

    def run(*words: str) -> str:
        code = main(["models", *words])
        printed = capsys.readouterr()
        assert code == 0, printed.err
        return printed.out

    return run


def regression() -> Any:
    return sklearn_linear.LinearRegression().fit(X, Y)


def predicted(tag: str) -> list[float]:
    with oipserver.local(tag) as model:
        return list(np.ravel(model.predict(X)))


def test_a_saved_model(models: Callable[..., str]) -> None:
    """``save_model`` into a folder, ``import_model`` from there."""
    mlflow.sklearn.save_model(regression(), "./my_model", pip_requirements=QUICK)
    oipserver.mlflow.import_model("my_sklearn_model", model_uri="./my_model")
    assert predicted("my_sklearn_model:latest") == pytest.approx(Y)
    oipserver.mlflow.import_model("absolute", str(Path("my_model").absolute()))
    Path("below").mkdir()
    os.chdir("below")
    oipserver.mlflow.import_model("relative", "../my_model")
    models("import", "mlflow", "../my_model", "--name", "by_command")
    assert [line.split(":")[0] for line in models("list").splitlines()[1:]] == [
        "absolute",
        "by_command",
        "my_sklearn_model",
        "relative",
    ]


def test_a_pytorch_model_from_a_run(models: Callable[..., str]) -> None:
    """Logged in a run, imported by ``get_artifact_uri``, used in every way that the tutorial shows."""
    torch = pytest.importorskip("torch")
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 3))
    test_input_arr = np.random.default_rng(1).random((5, 1, 2, 2), np.float32)
    with torch.no_grad():
        expected = net(torch.from_numpy(test_input_arr)).numpy()

    with mlflow.start_run():
        mlflow.pytorch.log_model(
            net, artifact_path="pytorch-model", input_example=test_input_arr, pip_requirements=QUICK
        )
        model_uri = mlflow.get_artifact_uri("pytorch-model")
        vts_model = oipserver.mlflow.import_model(
            "mlflow_pytorch_mnist", model_uri, signatures={"predict": {"batchable": True}}
        )
    assert str(vts_model) in models("list", "mlflow_pytorch_mnist")
    assert '"max_batch_size": 100' in Path(vts_model.path_of("model-settings.json")).read_text()

    # Its native form, by hand and by one call.
    vts_model = oipserver.mlflow.get("mlflow_pytorch_mnist:latest")
    mlflow_model_path = vts_model.path_of(oipserver.mlflow.MLFLOW_MODEL_FOLDER)
    for loaded in (mlflow.pytorch.load_model(mlflow_model_path), oipserver.mlflow.load_native(vts_model)):
        with torch.no_grad():
            answer = loaded(torch.from_numpy(test_input_arr)).numpy()
        np.testing.assert_allclose(answer, expected, rtol=1e-5)

    # As MLflow loads it for any framework.
    pyfunc_model = oipserver.mlflow.load_model("mlflow_pytorch_mnist:latest")
    assert isinstance(pyfunc_model, mlflow.pyfunc.PyFuncModel)
    np.testing.assert_allclose(pyfunc_model.predict(test_input_arr), expected, rtol=1e-5)

    # As a runner.
    runner = oipserver.mlflow.get("mlflow_pytorch_mnist:latest").to_runner()
    runner.init_local()
    np.testing.assert_allclose(runner.predict.run(test_input_arr), expected, rtol=1e-5)
    runner.close()


def test_a_table_into_a_runner() -> None:
    """``runner.predict.run(input_df)``, for a model that was fitted on a table."""
    pandas = pytest.importorskip("pandas")
    input_df = pandas.DataFrame(X, columns=["a", "b"])
    model = sklearn_linear.LinearRegression().fit(input_df, Y)
    signature = mlflow.models.infer_signature(input_df, Y)
    mlflow.sklearn.save_model(model, "./my_model", signature=signature, pip_requirements=QUICK)
    runner = oipserver.mlflow.import_model("table", "./my_model").to_runner()
    runner.init_local()
    assert list(np.ravel(runner.predict.run(input_df))) == pytest.approx(Y)
    runner.close()


def test_what_log_model_gives(capsys: pytest.CaptureFixture[str]) -> None:
    with mlflow.start_run():
        logged_model = mlflow.sklearn.log_model(regression(), name="model", pip_requirements=QUICK)
        oipserver.mlflow.import_model("in_the_run", mlflow.get_artifact_uri("model"))
    vts_model = oipserver.mlflow.import_model("logistic_regression_model", logged_model.model_uri)
    print(f"Model imported: {vts_model}")
    assert f"Model imported: logistic_regression_model:{vts_model.version}\n" in capsys.readouterr().out
    assert predicted("in_the_run") == predicted("logistic_regression_model:latest") == pytest.approx(Y)


def test_autolog() -> None:
    mlflow.sklearn.autolog()
    try:
        sklearn_linear.LinearRegression().fit(X, Y)
    finally:
        mlflow.sklearn.autolog(disable=True)
    run_id = mlflow.last_active_run().info.run_id
    model = oipserver.mlflow.import_model("logistic_regression_model", f"runs:/{run_id}/model", with_run=True)
    assert model.metadata["params"]["fit_intercept"] == "True"
    assert predicted("logistic_regression_model") == pytest.approx(Y)


def test_registered_models(models: Callable[..., str]) -> None:
    """By version, by stage, by alias, and the newest."""
    model_name = "sk-learn-random-forest-reg-model"
    with mlflow.start_run():
        mlflow.sklearn.log_model(regression(), name="model", registered_model_name=model_name, pip_requirements=QUICK)
    client = mlflow.MlflowClient()
    client.set_registered_model_alias(model_name, "champion", 1)
    client.transition_model_version_stage(model_name, 1, "Staging")
    for model_uri in (f"models:/{model_name}/1", f"models:/{model_name}/Staging", f"models:/{model_name}/latest"):
        oipserver.mlflow.import_model("my_mlflow_model", model_uri)
    models("import", "mlflow", f"models:/{model_name}@champion", "--name", "my_mlflow_model")
    model = oipserver.mlflow.get("my_mlflow_model")
    assert model.record.source["uri"] == f"models:/{model_name}@champion"
    assert model.record.source["resolved"] == f"models:/{model_name}/1"
    assert len(models("list", "my_mlflow_model").splitlines()) == 5
    assert predicted("my_mlflow_model") == pytest.approx(Y)

    for wrong in (f"models:/{model_name}/9", "models:/nobody/1", f"models:/{model_name}@nobody", "runs:/0/model"):
        with pytest.raises((NotFoundError, InvalidArgumentError), match="MLflow cannot get"):
            oipserver.mlflow.import_model("wrong", wrong)
    with pytest.raises(NotFoundError, match="there is no model 'wrong'"):
        oipserver.mlflow.get("wrong")


def test_a_model_in_s3(monkeypatch: pytest.MonkeyPatch, models: Callable[..., str]) -> None:
    boto3 = pytest.importorskip("boto3")
    server = pytest.importorskip("moto.server").ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "MLFLOW_S3_ENDPOINT_URL": f"http://{host}:{port}",
    }.items():
        monkeypatch.setenv(name, value)
    try:
        s3 = boto3.client("s3", endpoint_url=f"http://{host}:{port}")
        s3.create_bucket(Bucket="my-bucket")
        mlflow.sklearn.save_model(regression(), "./my_model", pip_requirements=QUICK)
        for file in Path("my_model").iterdir():
            s3.upload_file(str(file), "my-bucket", f"path/to/model/{file.name}")
        models("import", "mlflow", "s3://my-bucket/path/to/model", "--name", "from_s3")
        assert predicted("from_s3") == pytest.approx(Y)
        with pytest.raises((NotFoundError, InvalidArgumentError), match="s3://my-bucket/nowhere"):
            oipserver.mlflow.import_model("nothing", "s3://my-bucket/nowhere")
    finally:
        server.stop()


def test_parameters_metrics_and_tags(models: Callable[..., str]) -> None:
    """As the tutorial copies them by hand, and by ``--with-run``."""
    with mlflow.start_run() as active:
        mlflow.log_param("C", 1.0)
        mlflow.log_metric("accuracy", 0.93)
        mlflow.set_tag("team", "flowers")
        mlflow.sklearn.log_model(regression(), name="model", pip_requirements=QUICK)
    run = mlflow.get_run(active.info.run_id)
    model_uri = f"{run.info.artifact_uri}/model"
    by_hand = oipserver.mlflow.import_model(
        "my_mlflow_model",
        model_uri,
        labels=run.data.tags,
        metadata={"metrics": run.data.metrics, "params": run.data.params},
    )
    assert by_hand.labels["team"] == "flowers"
    assert by_hand.metadata == {"metrics": {"accuracy": 0.93}, "params": {"C": "1.0"}}
    models("import", "mlflow", model_uri, "--name", "with_run", "--with-run", "-l", "stage=prod")
    found = oipserver.mlflow.get("with_run")
    assert found.labels == {"team": "flowers", "stage": "prod"}
    assert found.metadata["metrics"]["accuracy"] == 0.93
    assert found.metadata["params"]["C"] == "1.0"
    assert found.metadata["tags"]["team"] == "flowers"


def test_the_requirements_by_a_variable(workplace: Path) -> None:
    mlflow.sklearn.save_model(regression(), "./my_model")
    oipserver.mlflow.import_model("my_mlflow_model", "./my_model")
    script = (
        'export OIPSERVER_MLFLOW_MODEL_PATH=$("$0" -m oipserver models get my_mlflow_model:latest -o path)\n'
        "cd $OIPSERVER_MLFLOW_MODEL_PATH/mlflow_model && cat requirements.txt conda.yaml"
    )
    printed = subprocess.run(["sh", "-c", script, sys.executable], capture_output=True, text=True, check=True).stdout
    assert "scikit-learn==" in printed
    assert "dependencies:" in printed


def test_without_mlflow_in_between() -> None:
    """The tutorial's advice for speed: load what MLflow has, and store that by its framework."""
    with mlflow.start_run():
        model_uri = mlflow.sklearn.log_model(regression(), name="model", pip_requirements=QUICK).model_uri
    loaded_model = mlflow.sklearn.load_model(model_uri)
    oipserver.sklearn.save_model("iris_clf", loaded_model)
    assert predicted("iris_clf") == pytest.approx(Y)


def test_a_service_whose_inputs_are_enforced(serve: Callable[..., ServerProcess], workplace: Path) -> None:
    """What the tutorial builds a service for: shape and type of its input, checked."""
    example = np.zeros((1, 2), np.float64)
    signature = mlflow.models.infer_signature(example, Y[:1])
    mlflow.sklearn.save_model(regression(), "./my_model", signature=signature, pip_requirements=QUICK)
    oipserver.mlflow.import_model("checked", "./my_model", enforce_inputs=True)
    server = serve(workplace / "home" / "models")
    (told,) = server.get("/v2/models/checked").json()["inputs"]
    assert (told["name"], told["datatype"], told["shape"]) == ("input-0", "FP64", [-1, 2])
    good = {"name": "input-0", "datatype": "FP64", "shape": [1, 2], "data": [1, 2]}
    answer = server.infer("checked", {"inputs": [good]})
    assert answer.json()["outputs"][0]["data"] == pytest.approx([8.0])
    answer = server.infer("checked", {"inputs": [{**good, "shape": [2, 1]}]})
    assert answer.status_code == 400
    assert "Expected [-1,2], got [2,1]" in answer.json()["error"]
    answer = server.infer("checked", {"inputs": [{**good, "datatype": "FP32"}]})
    assert answer.status_code == 400
    assert "data-type is 'FP32', but model 'checked' expects 'FP64'" in answer.json()["error"]
