"""Estimators saved straight into the store, without MLflow."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

import oipserver
from oipserver.errors import InvalidArgumentError, NotFoundError
from oipserver.store import Draft, ModelStore

X = np.array([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0], [3.0, 3.0]])


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path)


@pytest.fixture
def clf() -> Any:
    return LogisticRegression().fit(X, [0, 0, 1, 1])


def test_saved_loaded_run(store: ModelStore, clf: Any) -> None:
    model = oipserver.sklearn.save_model(
        "iris_clf", clf, signatures={"predict": {"batchable": True}}, labels={"team": "a"}, store=store
    )
    settings = json.loads((model.path / "model-settings.json").read_text())
    assert (settings["implementation"], settings["max_batch_size"]) == ("sklearn", 100)
    loaded = oipserver.sklearn.load_model("iris_clf:latest", store=store)
    assert loaded.predict(X).tolist() == clf.predict(X).tolist()
    runner = oipserver.sklearn.get("iris_clf", store=store).to_runner()
    runner.init_local()
    assert np.ravel(runner.predict.run(X)).tolist() == clf.predict(X).tolist()
    np.testing.assert_allclose(runner.run(X, outputs=["predict_proba"]), clf.predict_proba(X))
    runner.close()


def test_what_is_no_estimator(store: ModelStore) -> None:
    with pytest.raises(InvalidArgumentError, match="expected a fitted estimator"):
        oipserver.sklearn.save_model("iris_clf", "text", store=store)
    store.add("other", lambda folder: Draft({"implementation": "identity"}))
    with pytest.raises(NotFoundError, match=r"was not stored by oipserver.sklearn"):
        oipserver.sklearn.get("other", store=store)
