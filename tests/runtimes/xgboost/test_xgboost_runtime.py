"""XGBoost models answer exactly what XGBoost's own classes answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xgboost as xgb
from sklearn.datasets import load_breast_cancer, load_iris, make_multilabel_classification  # type: ignore[import-untyped]

from oipserver import Tensor
from oipserver.errors import InvalidArgumentError, MLServerError, ModelLoadError

from ..hosting import Hosted

Array = np.ndarray[Any, Any]
_SMALL: dict[str, Any] = {"n_estimators": 5, "max_depth": 2, "n_jobs": 1}


def iris() -> tuple[Array, Array]:
    rows, labels = load_iris(return_X_y=True)
    return rows.astype(np.float32), labels


def cancer() -> tuple[Array, Array]:
    rows, labels = load_breast_cancer(return_X_y=True)
    return rows.astype(np.float32), labels


@pytest.mark.parametrize("name", ["model.json", "model.ubj", "model.bst"])
def test_a_classifier_of_many_classes(name: str, tmp_path: Path) -> None:
    rows, labels = iris()
    model = xgb.XGBClassifier(**_SMALL).fit(rows, labels)
    model.save_model(tmp_path / name)
    hosted = Hosted("xgboost", tmp_path)
    predicted, probabilities = hosted.ask(rows, outputs=["predict", "predict_proba"])
    assert (predicted.datatype, predicted.shape, predicted.parameters) == ("INT64", (150, 1), {"content_type": "np"})
    assert predicted.array.ravel().tolist() == model.predict(rows).tolist()
    np.testing.assert_array_equal(probabilities.array, model.predict_proba(rows))
    assert probabilities.datatype == "FP32"


@pytest.mark.parametrize(
    "options",
    [{}, {"booster": "dart"}, {"booster": "gblinear"}, {"early_stopping_rounds": 1}],
    ids=["gbtree", "dart", "gblinear", "early"],
)
def test_a_classifier_of_two_classes(options: dict[str, Any], tmp_path: Path) -> None:
    rows, labels = cancer()
    model = xgb.XGBClassifier(**(_SMALL | options))
    model.fit(rows, labels, eval_set=[(rows[:50], labels[:50])], verbose=False)
    model.save_model(tmp_path / "model.json")
    hosted = Hosted("mlserver_xgboost.XGBoostModel", tmp_path)
    assert hosted.array(rows).ravel().tolist() == model.predict(rows).tolist()
    np.testing.assert_array_equal(hosted.array(rows, output="predict_proba"), model.predict_proba(rows))
    assert hosted.told_inputs == [("input-1", "FP32", (-1, 30))]
    assert hosted.told_outputs == [("predict", "INT64", (-1, 1)), ("predict_proba", "FP32", (-1, 2))]


def test_a_classifier_of_several_labels(tmp_path: Path) -> None:
    rows, labels = make_multilabel_classification(60, 6, n_classes=3, random_state=0)
    model = xgb.XGBClassifier(**_SMALL).fit(rows, labels)
    model.save_model(tmp_path / "model.json")
    hosted = Hosted("xgboost", tmp_path)
    np.testing.assert_array_equal(hosted.array(rows), model.predict(rows))
    np.testing.assert_array_equal(hosted.array(rows, output="predict_proba"), model.predict_proba(rows))


def test_a_regressor(tmp_path: Path) -> None:
    rows, _ = iris()
    model = xgb.XGBRegressor(**_SMALL).fit(rows[:, :3], rows[:, 3])
    model.save_model(tmp_path / "model.json")
    hosted = Hosted("xgboost", tmp_path)
    np.testing.assert_array_equal(hosted.array(rows[:, :3]).ravel(), model.predict(rows[:, :3]))
    with pytest.raises(MLServerError, match="XGBRegressor models do not support 'predict_proba") as caught:
        hosted.ask(rows[:, :3], outputs=["predict_proba"])
    assert caught.value.status_code == 400
    assert hosted.told_outputs == [("predict", "FP32", (-1, 1))]


def test_a_regressor_of_several_targets(tmp_path: Path) -> None:
    rows, _ = iris()
    model = xgb.XGBRegressor(**_SMALL).fit(rows[:, :2], rows[:, 2:])
    model.save_model(tmp_path / "model.json")
    np.testing.assert_array_equal(Hosted("xgboost", tmp_path).array(rows[:, :2]), model.predict(rows[:, :2]))


def test_a_ranker(tmp_path: Path) -> None:
    rows, labels = iris()
    model = xgb.XGBRanker(**_SMALL).fit(rows, labels, qid=np.repeat(np.arange(15), 10))
    model.save_model(tmp_path / "model.json")
    hosted = Hosted("xgboost", tmp_path)
    np.testing.assert_array_equal(hosted.array(rows).ravel(), model.predict(rows))
    with pytest.raises(MLServerError, match="XGBRanker models do not support 'predict_proba"):
        hosted.ask(rows, outputs=["predict_proba"])


@pytest.mark.parametrize("objective", ["binary:logistic", "multi:softprob", "multi:softmax", "reg:squarederror"])
def test_a_booster_saved_by_itself_gives_its_values(objective: str, tmp_path: Path) -> None:
    rows, labels = cancer()
    parameters = {"objective": objective, "max_depth": 2} | ({"num_class": 2} if "multi" in objective else {})
    booster = xgb.train(parameters, xgb.DMatrix(rows, labels), 4)
    booster.save_model(tmp_path / "model.ubj")
    hosted = Hosted("xgboost", tmp_path)
    values = booster.predict(xgb.DMatrix(rows))
    np.testing.assert_array_equal(hosted.array(rows), values.reshape(len(rows), -1))
    names = [name for name, *_ in hosted.told_outputs]
    if objective in ("binary:logistic", "multi:softprob"):
        both = values if values.ndim > 1 else np.stack((1 - values, values), axis=1)
        np.testing.assert_array_equal(hosted.array(rows, output="predict_proba"), both)
    else:
        assert names == ["predict"]


def test_tables_of_named_columns(tmp_path: Path) -> None:
    rows, labels = load_iris(return_X_y=True, as_frame=True)
    model = xgb.XGBClassifier(**_SMALL).fit(rows, labels)
    model.save_model(tmp_path / "model.json")
    hosted = Hosted("xgboost", tmp_path)
    columns = [Tensor.from_array(name, rows[name].to_numpy().reshape(-1, 1)) for name in rows]
    assert hosted.face.metadata.inputs[0].parameters == {"content_type": "np", "feature_names": list(rows.columns)}
    for parameters in ({"content_type": "pd"}, {}):
        assert hosted.array(*columns, **parameters).ravel().tolist() == model.predict(rows).tolist()
    renamed = [columns[0].renamed("other"), *columns[1:]]
    with pytest.raises(InvalidArgumentError, match="cannot take these inputs"):
        hosted.ask(*renamed, content_type="pd")


@pytest.mark.parametrize("datatype", ["float64", "int32", "uint8", "float16"])
def test_any_number_is_taken(datatype: str, tmp_path: Path) -> None:
    rows, labels = iris()
    whole = np.floor(rows * 4).astype(datatype)
    model = xgb.XGBClassifier(**_SMALL).fit(whole.astype(np.float32), labels)
    model.save_model(tmp_path / "model.json")
    hosted = Hosted("xgboost", tmp_path)
    assert hosted.array(whole).ravel().tolist() == model.predict(whole.astype(np.float32)).tolist()


def test_mistakes_of_the_caller(tmp_path: Path) -> None:
    rows, labels = iris()
    xgb.XGBClassifier(**_SMALL).fit(rows, labels).save_model(tmp_path / "model.json")
    hosted = Hosted("xgboost", tmp_path)
    with pytest.raises(InvalidArgumentError, match=r"Expected \[-1,4\], got \[150,3\]"):
        hosted.ask(rows[:, :3])
    with pytest.raises(
        MLServerError, match=r"XGBoostModel only supports 'predict' and 'predict_proba' as outputs \(odd was received\)"
    ):
        hosted.ask(rows, outputs=["odd"])
    with pytest.raises(MLServerError, match="only supports a single input tensor"):
        hosted.ask(rows, rows)


@pytest.mark.parametrize(("name", "content"), [("model.json", "{}"), ("model.bst", "no model"), ("model.ubj", "")])
def test_a_file_that_is_no_model(name: str, content: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(ModelLoadError, match=r"is no model that XGBoost .* can read"):
        Hosted("xgboost", tmp_path)
