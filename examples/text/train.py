"""Trains a recogniser of languages on sentences.tsv and writes model.onnx, request.json and expected.json.

The whole way from text to answer is in the graph: no client has to split or count words. Needs scikit-learn, skl2onnx
and onnx.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import onnx
from skl2onnx import to_onnx
from skl2onnx.common.data_types import StringTensorType
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline

HERE = Path(__file__).parent
OPSET = 17
IR_VERSION = 8
# onnxruntime's tokenizer knows no Unicode classes: say what a word is not.
WORD = r"[^\s.,;:!?¿¡]+"
ASKED = ["where is the house", "wo ist der schöne garten", "¿dónde está la niña?", "où est la fenêtre", "где мой дом"]


def train() -> Pipeline:
    """A pipeline from text to the name of its language."""
    with (HERE / "sentences.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file, delimiter="\t"))
    # lowercase=True would put a StringNormalizer node into the graph, which needs a locale that slim images lack.
    words = TfidfVectorizer(lowercase=False, token_pattern=WORD)
    pipeline = make_pipeline(words, LogisticRegression(C=100.0, random_state=0))
    return pipeline.fit([text for _, text in rows], [language for language, _ in rows])


def export(pipeline: Pipeline) -> None:
    """Write ``pipeline`` as a graph from text BYTES [n,1] to label BYTES [n] and probabilities FP32 [n,languages]."""
    vectorizer, classifier = (step for _, step in pipeline.steps)
    model = to_onnx(
        pipeline,
        initial_types=[("text", StringTensorType([None, 1]))],
        options={id(vectorizer): {"tokenexp": WORD}, id(classifier): {"zipmap": False}},
        target_opset=OPSET,
        naming="",
    )
    model.ir_version = IR_VERSION
    # These two differ from run to run otherwise.
    model.graph.name = "text"
    model.opset_import.sort(key=lambda opset: opset.domain)
    onnx.save(model, HERE / "model.onnx")


def write_expectations(pipeline: Pipeline) -> None:
    """Write a request and what scikit-learn itself answers."""
    texts = np.array(ASKED)
    languages, probabilities = pipeline.predict(texts), pipeline.predict_proba(texts)
    count = len(ASKED)
    request = {"name": "text", "shape": [count, 1], "datatype": "BYTES", "data": ASKED}
    outputs = [
        {"name": "label", "shape": [count], "datatype": "BYTES", "data": languages.tolist()},
        {
            "name": "probabilities",
            "shape": list(probabilities.shape),
            "datatype": "FP32",
            "data": [float(f"{value:.7f}") for value in probabilities.ravel()],
        },
    ]
    _write_json("request.json", {"id": "text-1", "inputs": [request]})
    _write_json("expected.json", {"model_name": "text", "model_version": "1", "id": "text-1", "outputs": outputs})


def _write_json(name: str, content: object) -> None:
    (HERE / name).write_text(json.dumps(content, ensure_ascii=False) + "\n", encoding="utf-8")


def main() -> None:
    pipeline = train()
    export(pipeline)
    write_expectations(pipeline)


if __name__ == "__main__":
    main()
