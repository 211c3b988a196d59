"""Trains a scikit-learn pipeline on the iris flowers and writes model.joblib, request.json and expected.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import joblib
from sklearn.datasets import load_iris
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

HERE = Path(__file__).parent
ASKED = [0, 60, 120]  # one flower of each kind


def tensor(name: str, datatype: str, rows: Any) -> dict[str, Any]:
    return {"name": name, "shape": list(rows.shape), "datatype": datatype, "data": rows.tolist()}


def write_json(name: str, content: object) -> None:
    (HERE / name).write_text(json.dumps(content) + "\n")


def main() -> None:
    flowers, kinds = load_iris(return_X_y=True)
    # Estimators whose attributes have been the same for years: the file loads in other versions of scikit-learn.
    model = make_pipeline(StandardScaler(), GaussianNB()).fit(flowers, kinds)
    joblib.dump(model, HERE / "model.joblib")
    asked = flowers[ASKED]
    predicted = model.predict(asked).reshape(-1, 1)
    write_json("request.json", {"id": "iris-1", "inputs": [tensor("flowers", "FP64", asked)]})
    outputs = [tensor("predict", "INT64", predicted)]
    write_json("expected.json", {"model_name": "iris", "model_version": "1", "id": "iris-1", "outputs": outputs})
    print(f"{model.score(flowers, kinds):.1%} of the flowers are named right")


if __name__ == "__main__":
    main()
