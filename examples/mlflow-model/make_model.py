"""Makes the MLflow model of this example. Needs mlflow, xgboost, scikit-learn (for the data) and pandas."""

from __future__ import annotations

import shutil
from pathlib import Path

import mlflow
import xgboost
from mlflow.models import infer_signature
from sklearn.datasets import load_iris

FOLDER = Path(__file__).parent / "flowers"


def main() -> None:
    """Train, and save with a signature and an example."""
    data = load_iris(as_frame=True)
    table = data.data.rename(columns=lambda name: name.removesuffix(" (cm)").replace(" ", "_"))
    model = xgboost.XGBClassifier(n_estimators=5, max_depth=3).fit(table, data.target)
    shutil.rmtree(FOLDER, ignore_errors=True)
    mlflow.xgboost.save_model(
        model,
        FOLDER,
        signature=infer_signature(table, model.predict(table)),
        input_example=table.iloc[[0, 50, 100]],
        model_format="json",
        pip_requirements=["mlflow", "xgboost"],
    )


if __name__ == "__main__":
    main()
