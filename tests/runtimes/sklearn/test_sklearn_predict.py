"""scikit-learn models answer exactly what scikit-learn answers, in the form MLServer's runtime gives it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.cluster import KMeans  # type: ignore[import-untyped]
from sklearn.compose import ColumnTransformer  # type: ignore[import-untyped]
from sklearn.datasets import load_iris  # type: ignore[import-untyped]
from sklearn.ensemble import RandomForestClassifier  # type: ignore[import-untyped]
from sklearn.feature_extraction.text import CountVectorizer  # type: ignore[import-untyped]
from sklearn.linear_model import LinearRegression, LogisticRegression  # type: ignore[import-untyped]
from sklearn.model_selection import GridSearchCV  # type: ignore[import-untyped]
from sklearn.naive_bayes import MultinomialNB  # type: ignore[import-untyped]
from sklearn.pipeline import Pipeline, make_pipeline  # type: ignore[import-untyped]
from sklearn.preprocessing import OneHotEncoder, StandardScaler  # type: ignore[import-untyped]
from sklearn.svm import SVC  # type: ignore[import-untyped]

from oipserver import Tensor
from oipserver.errors import InvalidArgumentError, MLServerError
from oipserver.protocol import InferRequest
from oipserver.types import from_public, to_public

from ..hosting import Hosted, text

Array = np.ndarray[Any, Any]


def iris() -> tuple[Array, Array]:
    rows, labels = load_iris(return_X_y=True)
    return rows, labels


def hosted(model: Any, folder: Path, **settings: Any) -> Hosted:
    joblib.dump(model, folder / "model.joblib")
    return Hosted("sklearn", folder, **settings)


class TestArrays:
    def test_labels_and_probabilities(self, tmp_path: Path) -> None:
        rows, labels = iris()
        model = make_pipeline(StandardScaler(), LogisticRegression()).fit(rows, labels)
        served = hosted(model, tmp_path)
        (alone,) = served.ask(rows)
        predicted, probabilities = served.ask(rows, outputs=["predict", "predict_proba"])
        for tensor in (alone, predicted):
            assert (tensor.name, tensor.datatype, tensor.shape) == ("predict", "INT64", (150, 1))
            assert tensor.parameters == {"content_type": "np"}
            assert tensor.array.ravel().tolist() == model.predict(rows).tolist()
        assert probabilities.name == "predict_proba"
        np.testing.assert_array_equal(probabilities.array, model.predict_proba(rows))

    @pytest.mark.parametrize("datatype", ["float64", "float32", "float16", "int64", "int8", "uint16", "bool"])
    def test_every_number_is_taken(self, datatype: str, tmp_path: Path) -> None:
        rows, labels = iris()
        numbers = rows.astype(datatype)
        model = RandomForestClassifier(5, random_state=0).fit(numbers, labels)
        assert hosted(model, tmp_path).array(numbers).ravel().tolist() == model.predict(numbers).tolist()

    def test_bf16_is_taken_as_numbers(self, tmp_path: Path) -> None:
        rows, labels = iris()
        upper = (rows.astype("<f4").view("<u4") >> 16).astype("<u2")
        numbers = (upper.astype("<u4") << 16).view("<f4")
        model = LogisticRegression(max_iter=500).fit(rows, labels)
        tensor = Tensor.from_array("x", upper, "BF16")
        assert hosted(model, tmp_path).array(tensor).ravel().tolist() == model.predict(numbers).tolist()

    def test_data_that_cannot_be_written_to_and_starts_at_any_byte(self, tmp_path: Path) -> None:
        rows, labels = iris()
        buffer = b"\0" + rows.tobytes()
        view = np.frombuffer(memoryview(buffer)[1:], dtype="<f8").reshape(rows.shape)
        assert not view.flags.writeable
        model = SVC().fit(rows, labels)
        assert hosted(model, tmp_path).array(view).ravel().tolist() == model.predict(rows).tolist()

    def test_a_regressor(self, tmp_path: Path) -> None:
        rows, _ = iris()
        model = LinearRegression().fit(rows[:, :3], rows[:, 3])
        served = hosted(model, tmp_path)
        np.testing.assert_array_equal(served.array(rows[:, :3]).ravel(), model.predict(rows[:, :3]))
        kind = "<class 'sklearn.linear_model._base.LinearRegression'>"
        with pytest.raises(MLServerError, match=f"{kind} models do not support 'predict_proba") as caught:
            served.ask(rows[:, :3], outputs=["predict", "predict_proba"])
        assert caught.value.status_code == 400
        assert served.told_outputs == [("predict", "FP64", (-1, 1))]

    def test_a_regressor_of_several_targets_keeps_its_dimensions(self, tmp_path: Path) -> None:
        rows, _ = iris()
        model = LinearRegression().fit(rows[:, :2], rows[:, 2:])
        np.testing.assert_array_equal(hosted(model, tmp_path).array(rows[:, :2]), model.predict(rows[:, :2]))

    def test_the_last_step_of_a_pipeline_is_named_in_refusals(self, tmp_path: Path) -> None:
        rows, _ = iris()
        model = make_pipeline(StandardScaler(), LinearRegression()).fit(rows, rows[:, 0])
        with pytest.raises(MLServerError, match=r"LinearRegression'> models do not support 'predict_proba"):
            hosted(model, tmp_path).ask(rows, outputs=["predict_proba"])

    def test_names_as_labels_are_text(self, tmp_path: Path) -> None:
        rows, labels = iris()
        words = np.array(["setosa", "versicolor", "virginica"])[labels]
        model = LogisticRegression(max_iter=500).fit(rows, words)
        (predicted,) = hosted(model, tmp_path).ask(rows)
        assert (predicted.datatype, predicted.shape) == ("BYTES", (150, 1))
        assert predicted.parameters == {"content_type": "np"}
        assert [word.decode() for word in predicted.array.ravel()] == model.predict(rows).tolist()

    def test_a_transformer_transforms(self, tmp_path: Path) -> None:
        rows, _ = iris()
        model = StandardScaler().fit(rows)
        served = hosted(model, tmp_path)
        (transformed,) = served.ask(rows)
        assert transformed.name == "transform"
        np.testing.assert_array_equal(transformed.array, model.transform(rows))
        with pytest.raises(MLServerError, match="models do not support 'predict"):
            served.ask(rows, outputs=["predict"])

    def test_sparse_answers_are_filled_in(self, tmp_path: Path) -> None:
        rows, _ = iris()
        model = OneHotEncoder(handle_unknown="ignore").fit(rows.round())
        expected = model.transform(rows.round()).toarray()
        np.testing.assert_array_equal(hosted(model, tmp_path).array(rows.round()), expected)

    def test_probabilities_of_several_targets_are_side_by_side(self, tmp_path: Path) -> None:
        rows, labels = iris()
        model = RandomForestClassifier(3, random_state=0).fit(rows, np.stack([labels, 2 - labels], axis=1))
        got = hosted(model, tmp_path).array(rows, output="predict_proba")
        np.testing.assert_array_equal(got, np.stack(model.predict_proba(rows), axis=1))

    def test_a_cluster_model_predicts_and_transforms(self, tmp_path: Path) -> None:
        rows, _ = iris()
        model = KMeans(3, n_init=1, random_state=0).fit(rows)
        served = hosted(model, tmp_path)
        predicted, transformed = served.ask(rows, outputs=["predict", "transform"])
        assert (predicted.datatype, predicted.array.ravel().tolist()) == ("INT32", model.predict(rows).tolist())
        np.testing.assert_allclose(transformed.array, model.transform(rows))

    def test_what_a_search_found(self, tmp_path: Path) -> None:
        rows, labels = iris()
        model = GridSearchCV(SVC(), {"C": [1, 2]}, cv=2).fit(rows, labels)
        assert hosted(model, tmp_path).array(rows).ravel().tolist() == model.predict(rows).tolist()


class TestTables:
    def table(self) -> pd.DataFrame:
        return pd.DataFrame(
            {
                "age": [22.0, 38.0, 26.0, 35.0] * 5,
                "port": ["S", "C", "S", "Q"] * 5,
                "class": [3, 1, 3, 1] * 5,
            }
        )

    def pipeline(self) -> Pipeline:
        numbers, words = StandardScaler(), make_pipeline(OneHotEncoder(handle_unknown="ignore"))
        split = ColumnTransformer([("n", numbers, ["age", "class"]), ("w", words, ["port"])])
        return make_pipeline(split, LogisticRegression()).fit(self.table(), [0, 1, 0, 1] * 5)

    def columns(self, as_text: bool, **parameters: Any) -> list[Tensor]:
        table = self.table()
        return [
            Tensor.from_array("age", table["age"].to_numpy().reshape(-1, 1)),
            text("port", *table["port"], as_text=as_text, **parameters),
            Tensor.from_array("class", table["class"].to_numpy()),
        ]

    def test_a_pipeline_tells_its_columns(self, tmp_path: Path) -> None:
        served = hosted(self.pipeline(), tmp_path)
        assert served.told_inputs == [("age", "FP64", (-1, 1)), ("port", "BYTES", (-1, 1)), ("class", "FP64", (-1, 1))]
        assert served.told_outputs == [("predict", "INT64", (-1, 1)), ("predict_proba", "FP64", (-1, 2))]

    @pytest.mark.parametrize("as_text", [True, False], ids=["rest", "grpc"])
    @pytest.mark.parametrize("parameters", [{}, {"content_type": "pd"}], ids=["untold", "pd"])
    def test_columns_become_a_table(self, parameters: dict[str, str], as_text: bool, tmp_path: Path) -> None:
        model = self.pipeline()
        served = hosted(model, tmp_path)
        got = served.array(*self.columns(as_text), **parameters)
        assert got.ravel().tolist() == model.predict(self.table()).tolist()

    def test_the_settings_may_say_that_requests_are_tables(self, tmp_path: Path) -> None:
        model = self.pipeline()
        served = hosted(model, tmp_path, parameters={"content_type": "pd"})
        got = served.array(*self.columns(True), output="predict_proba")
        np.testing.assert_array_equal(got, model.predict_proba(self.table()))

    def test_an_array_is_refused_with_the_way_out(self, tmp_path: Path) -> None:
        with pytest.raises(
            InvalidArgumentError, match=r"content type 'pd'\) with the columns \['age', 'port', 'class'\]"
        ):
            hosted(self.pipeline(), tmp_path).ask(np.ones((2, 3)))

    def test_a_missing_column_is_the_callers_mistake(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidArgumentError, match="class"):
            hosted(self.pipeline(), tmp_path).ask(*self.columns(True)[:2], content_type="pd")

    def test_an_answer_that_is_a_table_has_an_output_per_column(self, tmp_path: Path) -> None:
        rows = self.table()[["age", "class"]]
        model = StandardScaler().set_output(transform="pandas").fit(rows)
        served = hosted(model, tmp_path)
        got = served.ask(*(Tensor.from_array(name, rows[name].to_numpy()) for name in rows), outputs=["transform"])
        assert [(tensor.name, tensor.datatype, tensor.shape) for tensor in got] == [
            ("age", "FP64", (20, 1)),
            ("class", "FP64", (20, 1)),
        ]
        np.testing.assert_array_equal(got[0].array.ravel(), model.transform(rows)["age"])

    def test_two_tables_cannot_be_one_answer(self, tmp_path: Path) -> None:
        rows, _ = iris()
        model = KMeans(2, n_init=1, random_state=0).set_output(transform="pandas").fit(rows)
        with pytest.raises(MLServerError, match="Cannot encode multiple columnar data responses into one response"):
            hosted(model, tmp_path).ask(rows, outputs=["transform", "predict"])

    def test_an_array_for_a_model_fitted_on_a_table_warns_nobody(
        self, tmp_path: Path, recwarn: pytest.WarningsRecorder
    ) -> None:
        rows = self.table()[["age", "class"]]
        model = LogisticRegression().fit(rows, [0, 1] * 10)
        served = hosted(model, tmp_path)
        assert served.face.metadata.inputs[0].parameters == {"content_type": "np", "feature_names": ["age", "class"]}
        assert served.array(rows.to_numpy()).ravel().tolist() == model.predict(rows).tolist()


class TestText:
    def test_a_pipeline_over_text(self, tmp_path: Path) -> None:
        lines = ["good film", "bad film", "good good", "so bad"]
        model = make_pipeline(CountVectorizer(), MultinomialNB()).fit(lines, [1, 0, 1, 0])
        served = hosted(model, tmp_path)
        got = served.array(text("x", *lines, as_text=False, content_type="str"))
        assert got.ravel().tolist() == model.predict(lines).tolist()
        assert served.array(text("x", *lines), content_type="str").ravel().tolist() == [1, 0, 1, 0]
        assert served.told_inputs == []


def test_the_outputs_of_a_transformer_are_told(tmp_path: Path) -> None:
    rows, _ = iris()
    assert hosted(StandardScaler().fit(rows), tmp_path).told_outputs == [("transform", "FP64", (-1, 4))]


class TestSubclasses:
    def test_a_predict_of_their_own_is_what_answers(self, tmp_path: Path) -> None:
        rows, labels = iris()
        model = LogisticRegression(max_iter=500).fit(rows, labels)
        (tmp_path / "renaming.py").write_text(
            "from oipserver_sklearn import SKLearnModel\n\n"
            "class Renaming(SKLearnModel):\n"
            "    async def predict(self, payload):\n"
            "        response = await super().predict(payload)\n"
            "        response.outputs[0].name = 'changed'\n"
            "        return response\n"
        )
        joblib.dump(model, tmp_path / "model.joblib")
        served = Hosted("renaming.Renaming", tmp_path)
        assert not served.face.fast
        (output,) = served.ask(rows, outputs=["predict_proba"])
        assert (output.name, output.parameters) == ("changed", {"content_type": "np"})
        np.testing.assert_array_equal(output.array, model.predict_proba(rows))
        with pytest.raises(InvalidArgumentError, match="cannot take these inputs: X has 3 features"):
            served.ask(rows[:, :3])
        with pytest.raises(MLServerError, match="odd was received"):
            served.ask(rows, outputs=["odd"])

    def test_both_ways_say_the_same(self, tmp_path: Path) -> None:
        rows, labels = iris()
        served = hosted(make_pipeline(StandardScaler(), SVC()).fit(rows, labels), tmp_path)
        request = InferRequest("m", [Tensor.from_array("x", rows)])
        fast = asyncio.run(served.host.infer(request)).outputs
        slow = from_public(asyncio.run(served.host.model.predict(to_public(request))), request).outputs
        assert [(each.name, each.datatype, each.shape, each.parameters) for each in fast] == [
            (each.name, each.datatype, each.shape, each.parameters) for each in slow
        ]
        assert fast[0].array.tolist() == slow[0].array.tolist()
