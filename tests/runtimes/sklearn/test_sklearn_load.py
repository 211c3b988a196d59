"""How scikit-learn models are found and loaded, what their settings may say, and what is told where it fails."""

from __future__ import annotations

import pickle
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.datasets import load_iris  # type: ignore[import-untyped]
from sklearn.ensemble import RandomForestClassifier  # type: ignore[import-untyped]
from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]
from sklearn.pipeline import make_pipeline  # type: ignore[import-untyped]
from sklearn.preprocessing import FunctionTransformer, StandardScaler  # type: ignore[import-untyped]
from sklearn.svm import SVC  # type: ignore[import-untyped]

from oipserver.errors import InvalidArgumentError, MLServerError, ModelLoadError

from ..hosting import Hosted

ROWS, LABELS = load_iris(return_X_y=True)


@pytest.fixture(scope="module")
def model() -> Any:
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(ROWS, LABELS)


class TestFiles:
    @pytest.mark.parametrize("name", ["model.joblib", "model.pickle", "model.pkl", "other.joblib"])
    def test_names_found_in_the_folder(self, name: str, model: Any, tmp_path: Path) -> None:
        (tmp_path / name).write_bytes(pickle.dumps(model))
        assert (
            Hosted("mlserver_sklearn.SKLearnModel", tmp_path).array(ROWS).ravel().tolist()
            == model.predict(ROWS).tolist()
        )

    def test_the_first_name_wins_and_uri_wins_over_it(self, model: Any, tmp_path: Path) -> None:
        joblib.dump(model, tmp_path / "model.joblib")
        joblib.dump(StandardScaler().fit(ROWS), tmp_path / "model.pkl")
        assert Hosted("sklearn", tmp_path).ask(ROWS)[0].name == "predict"
        assert Hosted("sklearn", tmp_path, parameters={"uri": "./model.pkl"}).ask(ROWS)[0].name == "transform"
        uri = f"file://{tmp_path}/model.pkl"
        assert Hosted("sklearn", tmp_path / "elsewhere", parameters={"uri": uri}).ask(ROWS)[0].name == "transform"

    def test_skops(self, model: Any, tmp_path: Path) -> None:
        skops = pytest.importorskip("skops.io")
        skops.dump(model, tmp_path / "model.skops")
        assert Hosted("sklearn", tmp_path).array(ROWS).ravel().tolist() == model.predict(ROWS).tolist()

    def test_skops_types_nobody_vouched_for(self, tmp_path: Path) -> None:
        skops = pytest.importorskip("skops.io")
        skops.dump(make_pipeline(FunctionTransformer(textwrap.dedent), SVC()), tmp_path / "model.skops")
        with pytest.raises(ModelLoadError, match=r"parameters.extra.trusted_types: textwrap.dedent"):
            Hosted("sklearn", tmp_path)
        trusting = {"extra": {"trusted_types": ["textwrap.dedent"]}}
        assert Hosted("sklearn", tmp_path, parameters=trusting).face.metadata.platform == "sklearn"

    def test_no_file(self, tmp_path: Path) -> None:
        with pytest.raises(ModelLoadError, match=r"no scikit-learn file in .*looked for model\.joblib, model\.pickle"):
            Hosted("sklearn", tmp_path)
        with pytest.raises(ModelLoadError, match=r"there is no file .*parameters\.uri is 'gone\.joblib'"):
            Hosted("sklearn", tmp_path, parameters={"uri": "gone.joblib"})

    def test_several_files(self, model: Any, tmp_path: Path) -> None:
        for name in ("a.joblib", "b.pkl"):
            joblib.dump(model, tmp_path / name)
        with pytest.raises(ModelLoadError, match=r"several scikit-learn files .* parameters\.uri: a\.joblib, b\.pkl"):
            Hosted("sklearn", tmp_path)

    def test_a_file_that_is_no_model(self, tmp_path: Path) -> None:
        (tmp_path / "model.joblib").write_bytes(b"nothing")
        with pytest.raises(ModelLoadError, match=r"cannot be read with scikit-learn [\d.]+"):
            Hosted("sklearn", tmp_path)
        joblib.dump({"no": "model"}, tmp_path / "model.joblib")
        with pytest.raises(ModelLoadError, match="holds a dict, which has none of predict, predict_proba, transform"):
            Hosted("sklearn", tmp_path)

    def test_functions_of_a_module_beside_the_settings(self, tmp_path: Path) -> None:
        code = textwrap.dedent(
            """
            import joblib, numpy as np, own_steps
            from sklearn.pipeline import make_pipeline
            from sklearn.preprocessing import FunctionTransformer
            from sklearn.linear_model import LinearRegression
            rows = np.arange(6.0).reshape(3, 2)
            pipeline = make_pipeline(FunctionTransformer(own_steps.double), LinearRegression())
            joblib.dump(pipeline.fit(rows, rows[:, 0]), "model.joblib")
            """
        )
        module = tmp_path / "own_steps.py"
        module.write_text("def double(rows):\n    return rows * 2\n")
        subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
        rows = np.arange(6.0).reshape(3, 2)
        try:
            np.testing.assert_allclose(Hosted("sklearn", tmp_path).array(rows).ravel(), rows[:, 0], atol=1e-9)
        finally:
            sys.path[:] = [entry for entry in sys.path if entry != str(tmp_path)]
            sys.modules.pop("own_steps", None)
        module.unlink()
        with pytest.raises(ModelLoadError, match=r"needs the module 'own_steps'.* put own_steps\.py beside"):
            Hosted("sklearn", tmp_path)


class TestSettings:
    def test_predict_fn_answers_requests_that_name_no_output(self, model: Any, tmp_path: Path) -> None:
        joblib.dump(model, tmp_path / "model.joblib")
        for name in ("predict_proba", "decision_function"):
            served = Hosted("sklearn", tmp_path, parameters={"extra": {"predict_fn": name}})
            (tensor,) = served.ask(ROWS)
            assert tensor.name == name
            np.testing.assert_array_equal(tensor.array, getattr(model, name)(ROWS))
            assert served.ask(ROWS, outputs=["predict"])[0].name == "predict"

    @pytest.mark.parametrize(
        ("extra", "reason"),
        [
            ({"predict_fn": "guess"}, "predict_fn is 'guess', which a LogisticRegression does not have"),
            ({"predict_fn": 3}, "predict_fn: expected the name of a method, got 3"),
            ({"n_jobs": "all"}, "n_jobs: expected an integer other than 0, got 'all'"),
        ],
    )
    def test_settings_that_are_wrong(self, extra: dict[str, Any], reason: str, model: Any, tmp_path: Path) -> None:
        joblib.dump(model, tmp_path / "model.joblib")
        with pytest.raises(ModelLoadError, match=reason):
            Hosted("sklearn", tmp_path, parameters={"extra": extra})

    @pytest.mark.parametrize(
        ("saved", "environment", "extra", "expected"),
        [(-1, "3", {}, 3), (-1, "3", {"n_jobs": 2}, 2), (None, "3", {"n_jobs": 2}, None), (1, "3", {}, 1)],
    )
    def test_saved_jobs_become_the_models_share(
        self,
        saved: int | None,
        environment: str,
        extra: dict[str, int],
        expected: int | None,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setenv("OMP_NUM_THREADS", environment)
        forest = RandomForestClassifier(3, n_jobs=saved).fit(ROWS, LABELS)
        joblib.dump(make_pipeline(StandardScaler(), forest), tmp_path / "model.joblib")
        served = Hosted("sklearn", tmp_path, parameters={"extra": extra})
        function: Any = served.host.model._predictor.functions["predict"]  # type: ignore[attr-defined]
        assert function.__self__.steps[-1][-1].n_jobs == expected

    def test_what_settings_declare_is_told(self, model: Any, tmp_path: Path) -> None:
        joblib.dump(model, tmp_path / "model.joblib")
        declared = {
            "inputs": [{"name": "flowers", "datatype": "FP32", "shape": [-1, 4]}],
            "outputs": [{"name": "predict", "datatype": "INT64", "shape": [-1, 1]}],
        }
        served = Hosted("sklearn", tmp_path, platform="mine", **declared)
        assert served.told_inputs == [("flowers", "FP32", (-1, 4))]
        assert served.told_outputs == [("predict", "INT64", (-1, 1))]
        assert served.face.metadata.platform == "mine"
        assert served.face.strict

    def test_what_the_model_tells_binds_nobody(self, model: Any, tmp_path: Path) -> None:
        joblib.dump(model, tmp_path / "model.joblib")
        served = Hosted("sklearn", tmp_path)
        assert served.told_inputs == [("input-1", "FP64", (-1, 4))]
        assert not served.face.strict

    def test_a_declared_content_type_of_an_output(self, model: Any, tmp_path: Path) -> None:
        words = np.array(["setosa", "versicolor", "virginica"])[LABELS]
        joblib.dump(LogisticRegression(max_iter=500).fit(ROWS, words), tmp_path / "model.joblib")
        told = {"name": "predict", "datatype": "BYTES", "shape": [-1, 1], "parameters": {"content_type": "str"}}
        (tensor,) = Hosted("sklearn", tmp_path, outputs=[told]).ask(ROWS[:2])
        assert tensor.parameters == {"content_type": "str"}
        assert [word.decode() for word in tensor.array.ravel()] == ["setosa", "setosa"]


class TestMistakes:
    @pytest.mark.parametrize(
        ("array", "reason"),
        [
            (ROWS[:, :3], r"unexpected shape for input 'x0' for model 'm'\. Expected \[-1,4\], got \[150,3\]"),
            (ROWS[0], r"Expected \[-1,4\], got \[4\]"),
            (np.full((1, 4), np.nan), "cannot take these inputs: Input X contains NaN"),
            (np.zeros((0, 4)), "cannot take these inputs: Found array with 0 sample"),
            (np.array([["a", "b", "c", "d"]]), "cannot take these inputs: could not convert string to float"),
        ],
    )
    def test_data_that_does_not_suit_the_model(self, array: Any, reason: str, model: Any, tmp_path: Path) -> None:
        joblib.dump(model, tmp_path / "model.joblib")
        with pytest.raises(InvalidArgumentError, match=reason):
            Hosted("sklearn", tmp_path).ask(array)

    def test_outputs_and_inputs_that_are_not_there(self, model: Any, tmp_path: Path) -> None:
        joblib.dump(model, tmp_path / "model.joblib")
        served = Hosted("sklearn", tmp_path)
        known = "SKLearnModel only supports 'predict', 'predict_proba' and 'transform' as outputs"
        with pytest.raises(MLServerError, match=rf"{known} \(odd was received\)") as caught:
            served.ask(ROWS, outputs=["odd"])
        assert caught.value.status_code == 400
        with pytest.raises(MLServerError, match="The 'np' codec only supports a single input tensor"):
            served.ask(ROWS, ROWS)

    def test_a_model_that_breaks_is_no_mistake_of_the_caller(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: Any
    ) -> None:
        joblib.dump(model, tmp_path / "model.joblib")
        served = Hosted("sklearn", tmp_path)

        def breaks(*_: Any, **__: Any) -> Any:
            raise MemoryError("too much")

        monkeypatch.setattr(LogisticRegression, "predict", breaks)
        with pytest.raises(Exception, match="model 'm' failed: MemoryError: too much") as caught:
            served.ask(ROWS)
        assert not isinstance(caught.value, InvalidArgumentError)


def test_importing_the_runtimes_imports_no_framework() -> None:
    heavy = ["sklearn", "scipy", "xgboost", "lightgbm", "catboost", "pandas"]
    code = (
        "import sys, oipserver_sklearn, oipserver_xgboost, oipserver_lightgbm, oipserver_catboost\n"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


@pytest.mark.parametrize("name", ["sklearn", "xgboost", "lightgbm", "catboost"])
def test_a_missing_framework_is_named_with_the_line_that_installs_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / f"model.{'joblib' if name == 'sklearn' else 'json' if name != 'lightgbm' else 'bst'}").write_text("{}")
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ModelLoadError) as caught:
        Hosted(name, tmp_path)
    assert f'pip install "oipserver[{name}]"' in caught.value.message
    assert f"model 'm' needs {name}, which is not installed" in caught.value.message
