"""LightGBM models answer exactly what LightGBM itself answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import joblib
import lightgbm as lgb
import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_iris  # type: ignore[import-untyped]
from sklearn.svm import SVC  # type: ignore[import-untyped]

from oipserver import Tensor
from oipserver.errors import InvalidArgumentError, MLServerError, ModelLoadError

from ..hosting import Hosted

_SMALL: dict[str, Any] = {"n_estimators": 5, "num_leaves": 4, "n_jobs": 1, "verbose": -1}


@pytest.mark.parametrize("name", ["model.bst", "model.txt"])
def test_a_booster_of_many_classes(name: str, tmp_path: Path) -> None:
    rows, labels = load_iris(return_X_y=True)
    booster = lgb.LGBMClassifier(**_SMALL).fit(rows, labels).booster_
    booster.save_model(tmp_path / name)
    hosted = Hosted("lightgbm", tmp_path)
    (predicted,) = hosted.ask(rows)
    assert (predicted.name, predicted.datatype, predicted.parameters) == ("predict", "FP64", {"content_type": "np"})
    np.testing.assert_array_equal(predicted.array, booster.predict(rows))
    np.testing.assert_array_equal(hosted.array(rows, output="predict_proba"), booster.predict(rows))
    assert hosted.told_inputs == [("input-1", "FP64", (-1, 4))]
    assert hosted.told_outputs == [("predict", "FP64", (-1, 3)), ("predict_proba", "FP64", (-1, 3))]


def test_a_booster_of_two_classes(tmp_path: Path) -> None:
    rows, labels = load_breast_cancer(return_X_y=True)
    model = lgb.LGBMClassifier(**_SMALL).fit(rows, labels)
    model.booster_.save_model(tmp_path / "model.bst")
    hosted = Hosted("mlserver_lightgbm.LightGBMModel", tmp_path)
    np.testing.assert_array_equal(hosted.array(rows).ravel(), model.booster_.predict(rows))
    np.testing.assert_array_equal(hosted.array(rows, output="predict_proba"), model.predict_proba(rows))


def test_a_booster_that_regresses(tmp_path: Path) -> None:
    rows, _ = load_iris(return_X_y=True)
    booster = lgb.LGBMRegressor(**_SMALL).fit(rows[:, :3], rows[:, 3]).booster_
    booster.save_model(tmp_path / "model.bst")
    hosted = Hosted("lightgbm", tmp_path)
    np.testing.assert_array_equal(hosted.array(rows[:, :3]).ravel(), booster.predict(rows[:, :3]))
    with pytest.raises(MLServerError, match="regression models do not support 'predict_proba'") as caught:
        hosted.ask(rows[:, :3], outputs=["predict_proba"])
    assert caught.value.status_code == 400


def test_a_booster_trained_with_an_objective_of_its_own(tmp_path: Path) -> None:
    rows, labels = load_breast_cancer(return_X_y=True)

    def difference(scores: Any, data: lgb.Dataset) -> tuple[Any, Any]:
        return scores - data.get_label(), np.ones_like(scores)

    options = {"objective": difference, "verbose": -1, "num_leaves": 4, "num_threads": 1}
    booster = lgb.train(options, lgb.Dataset(rows, labels), 3)
    booster.save_model(tmp_path / "model.bst")
    hosted = Hosted("lightgbm", tmp_path)
    np.testing.assert_array_equal(hosted.array(rows).ravel(), booster.predict(rows))
    assert [name for name, *_ in hosted.told_outputs] == ["predict"]


@pytest.mark.parametrize("name", ["model.joblib", "model.pkl"])
def test_a_pickled_classifier_gives_labels(name: str, tmp_path: Path) -> None:
    rows, labels = load_iris(return_X_y=True)
    words = np.array(["setosa", "versicolor", "virginica"])[labels]
    model = lgb.LGBMClassifier(**_SMALL).fit(rows, words)
    joblib.dump(model, tmp_path / name)
    hosted = Hosted("lightgbm", tmp_path)
    (predicted,) = hosted.ask(rows)
    assert (predicted.datatype, predicted.shape) == ("BYTES", (150, 1))
    assert [word.decode() for word in predicted.array.ravel()] == model.predict(rows).tolist()
    np.testing.assert_array_equal(hosted.array(rows, output="predict_proba"), model.predict_proba(rows))


def test_pickled_regressors_rankers_and_boosters(tmp_path: Path) -> None:
    rows, labels = load_iris(return_X_y=True)
    regressor = lgb.LGBMRegressor(**_SMALL).fit(rows, labels)
    ranker = lgb.LGBMRanker(**_SMALL).fit(rows, labels, group=[50, 50, 50])
    for model in (regressor, ranker, regressor.booster_):
        joblib.dump(model, tmp_path / "model.joblib")
        hosted = Hosted("lightgbm", tmp_path)
        np.testing.assert_array_equal(hosted.array(rows).ravel(), model.predict(rows))
        assert [name for name, *_ in hosted.told_outputs] == ["predict"]


def test_tables_of_named_columns(tmp_path: Path) -> None:
    rows, labels = load_iris(return_X_y=True, as_frame=True)
    rows.columns = [name.replace(" ", "_") for name in rows.columns]
    booster = lgb.LGBMClassifier(**_SMALL).fit(rows, labels).booster_
    booster.save_model(tmp_path / "model.bst")
    hosted = Hosted("lightgbm", tmp_path)
    assert hosted.face.metadata.inputs[0].parameters == {"content_type": "np", "feature_names": list(rows.columns)}
    columns = [Tensor.from_array(name, rows[name].to_numpy().reshape(-1, 1)) for name in rows]
    np.testing.assert_array_equal(hosted.array(*columns), booster.predict(rows))


def test_mistakes_of_the_caller(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    rows, labels = load_iris(return_X_y=True)
    lgb.LGBMClassifier(**_SMALL).fit(rows, labels).booster_.save_model(tmp_path / "model.bst")
    hosted = Hosted("lightgbm", tmp_path)
    with pytest.raises(InvalidArgumentError, match=r"Expected \[-1,4\], got \[150,3\]"):
        hosted.ask(rows[:, :3])
    with pytest.raises(MLServerError, match=r"LightGBMModel only supports .* as outputs \(odd was received\)"):
        hosted.ask(rows, outputs=["odd"])
    columns = [Tensor.from_array(name, np.ones((2, 1))) for name in "abc"]
    with pytest.raises(InvalidArgumentError, match="number of features in data"):
        hosted.ask(*columns, content_type="pd")
    assert not capfd.readouterr().out


def test_files_that_are_no_model(tmp_path: Path) -> None:
    (tmp_path / "model.bst").write_text("nothing")
    with pytest.raises(ModelLoadError, match=r"is no model that LightGBM [\d.]+ can read"):
        Hosted("lightgbm", tmp_path)
    rows, labels = load_iris(return_X_y=True)
    joblib.dump(SVC().fit(rows, labels), tmp_path / "other.joblib")
    with pytest.raises(ModelLoadError, match=r'holds a SVC; expected a LightGBM model.* implementation "sklearn"'):
        Hosted("lightgbm", tmp_path, parameters={"uri": "other.joblib"})
    (tmp_path / "broken.pkl").write_bytes(b"nothing")
    with pytest.raises(ModelLoadError, match="cannot be read with LightGBM"):
        Hosted("lightgbm", tmp_path, parameters={"uri": "broken.pkl"})
