"""CatBoost models answer exactly what CatBoost's own classes answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import catboost
import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_iris  # type: ignore[import-untyped]

from oipserver import Tensor
from oipserver.errors import InvalidArgumentError, MLServerError, ModelLoadError

from ..hosting import Hosted, text

_SMALL: dict[str, Any] = {"iterations": 5, "depth": 2, "verbose": 0, "allow_writing_files": False, "thread_count": 1}


@pytest.mark.parametrize(("name", "form"), [("model.cbm", "cbm"), ("model.bin", "cbm"), ("model.json", "json")])
def test_a_classifier_of_many_classes(name: str, form: str, tmp_path: Path) -> None:
    rows, labels = load_iris(return_X_y=True)
    model = catboost.CatBoostClassifier(**_SMALL).fit(rows, labels)
    model.save_model(str(tmp_path / name), format=form)
    hosted = Hosted("catboost", tmp_path)
    (predicted,) = hosted.ask(rows)
    assert (predicted.name, predicted.datatype, predicted.shape) == ("predict", "INT64", (150, 1))
    np.testing.assert_array_equal(predicted.array, model.predict(rows))
    np.testing.assert_allclose(hosted.array(rows, output="predict_proba"), model.predict_proba(rows), rtol=1e-12)
    assert hosted.told_inputs == [("input-1", "FP32", (-1, 4))]
    assert hosted.told_outputs == [("predict", "INT64", (-1, 1)), ("predict_proba", "FP64", (-1, 3))]


def test_a_classifier_of_two_classes_with_names(tmp_path: Path) -> None:
    rows, labels = load_breast_cancer(return_X_y=True)
    words = np.array(["benign", "malignant"])[labels]
    model = catboost.CatBoostClassifier(**_SMALL).fit(rows, words)
    model.save_model(str(tmp_path / "model.cbm"))
    hosted = Hosted("mlserver_catboost.CatboostModel", tmp_path)
    (predicted,) = hosted.ask(rows)
    assert (predicted.datatype, predicted.shape) == ("BYTES", (569, 1))
    assert [word.decode() for word in predicted.array.ravel()] == model.predict(rows).ravel().tolist()
    np.testing.assert_array_equal(hosted.array(rows, output="predict_proba"), model.predict_proba(rows))


@pytest.mark.parametrize("loss", ["RMSE", "MAE", "Poisson", "Quantile:alpha=0.3"])
def test_a_regressor_gives_values(loss: str, tmp_path: Path) -> None:
    rows, _ = load_iris(return_X_y=True)
    model = catboost.CatBoostRegressor(**_SMALL, loss_function=loss).fit(rows[:, :3], rows[:, 3])
    model.save_model(str(tmp_path / "model.cbm"))
    hosted = Hosted("catboost", tmp_path)
    np.testing.assert_array_equal(hosted.array(rows[:, :3]).ravel(), model.predict(rows[:, :3]))
    with pytest.raises(MLServerError, match="CatBoostRegressor models do not support 'predict_proba'") as caught:
        hosted.ask(rows[:, :3], outputs=["predict_proba"])
    assert caught.value.status_code == 400


@pytest.mark.parametrize("loss", ["YetiRank", "QueryRMSE", "QuerySoftMax"])
def test_a_ranker_gives_scores(loss: str, tmp_path: Path) -> None:
    rows, labels = load_iris(return_X_y=True)
    groups = np.repeat(np.arange(15), 10)
    model = catboost.CatBoostRanker(**_SMALL, loss_function=loss, bootstrap_type="No").fit(
        rows, labels, group_id=groups
    )
    model.save_model(str(tmp_path / "model.cbm"))
    hosted = Hosted("catboost", tmp_path)
    np.testing.assert_array_equal(hosted.array(rows).ravel(), model.predict(rows))
    with pytest.raises(MLServerError, match="CatBoostRanker models do not support 'predict_proba'"):
        hosted.ask(rows, outputs=["predict_proba"])


def test_a_table_with_a_column_of_categories(tmp_path: Path) -> None:
    import pandas as pd

    table = pd.DataFrame({"colour": ["red", "blue", "red", "green"] * 10, "size": np.arange(40.0)})
    model = catboost.CatBoostClassifier(**_SMALL, cat_features=["colour"]).fit(table, [0, 1, 0, 1] * 10)
    model.save_model(str(tmp_path / "model.cbm"))
    hosted = Hosted("catboost", tmp_path)
    colours = text("colour", *table["colour"], content_type="str")
    sizes = Tensor.from_array("size", table["size"].to_numpy().reshape(-1, 1))
    assert hosted.array(colours, sizes).ravel().tolist() == model.predict(table).tolist()
    with pytest.raises(InvalidArgumentError, match="cannot take these inputs"):
        hosted.ask(np.ones((2, 2)))


def test_mistakes_of_the_caller(tmp_path: Path) -> None:
    rows, labels = load_iris(return_X_y=True)
    catboost.CatBoostClassifier(**_SMALL).fit(rows, labels).save_model(str(tmp_path / "model.cbm"))
    hosted = Hosted("catboost", tmp_path)
    with pytest.raises(InvalidArgumentError, match=r"Expected \[-1,4\], got \[150,3\]"):
        hosted.ask(rows[:, :3])
    with pytest.raises(MLServerError, match=r"CatboostModel only supports .* as outputs \(odd was received\)"):
        hosted.ask(rows, outputs=["odd"])


@pytest.mark.parametrize("name", ["model.cbm", "model.json"])
def test_a_file_that_is_no_model(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("nothing")
    with pytest.raises(ModelLoadError, match=r"is no model that CatBoost .* can read"):
        Hosted("catboost", tmp_path)
