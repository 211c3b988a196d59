"""What the frameworks' own flavors of MLflow save, deployed as it is, answers as the framework does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("mlflow", reason="the plugin needs MLflow")
pytest.importorskip("lightgbm")
pytest.importorskip("xgboost")
import lightgbm
import mlflow
import xgboost

pytestmark = pytest.mark.process

TABLE = pd.DataFrame(np.random.default_rng(0).random((60, 4)), columns=list("abcd"))
LABELS = (TABLE.a > 0.5).astype(int)
QUIET = {"verbose": -1}


def models() -> dict[str, tuple[str, Any, Any]]:
    """By name the flavor, a model, and what it predicts."""
    booster = xgboost.train({"objective": "binary:logistic"}, xgboost.DMatrix(TABLE, LABELS), 5)
    classifier = xgboost.XGBClassifier(n_estimators=5).fit(TABLE, LABELS)
    light = lightgbm.train({"objective": "binary", **QUIET}, lightgbm.Dataset(TABLE, LABELS), 5)
    lights = lightgbm.LGBMClassifier(n_estimators=5, **QUIET).fit(TABLE, LABELS)
    return {
        "booster": ("xgboost", booster, booster.predict(xgboost.DMatrix(TABLE[:5]))),
        "classifier": ("xgboost", classifier, classifier.predict(TABLE[:5])),
        "light": ("lightgbm", light, light.predict(TABLE[:5])),
        "lights": ("lightgbm", lights, lights.predict(TABLE[:5])),
    }


@pytest.mark.parametrize("name", ["booster", "classifier", "light", "lights"])
def test_answers_are_the_frameworks(name: str, client: Any, registry: Path) -> None:
    flavor, model, expected = models()[name]
    getattr(mlflow, flavor).log_model(model, name="m", registered_model_name=name, pip_requirements=["mlflow"])
    assert client.create_deployment(name, f"models:/{name}/1")["flavor"] in (flavor, "python_function")
    np.testing.assert_allclose(client.predict(name, TABLE[:5])["predictions"], expected, rtol=1e-5)
