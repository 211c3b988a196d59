"""The detector, as its README walks: metadata, then an image in and boxes out as binary data."""

from __future__ import annotations

import contextlib
import io
import json
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc as grpc_client
import tritonclient.http as http_client

from tests.conftest import EXAMPLES, ROOT
from tests.support.server_process import ServerProcess

pytestmark = pytest.mark.process

FOLDER = EXAMPLES / "detector"
README = (FOLDER / "README.md").read_text()
CELLS = (8, 16, 32)


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with ServerProcess(FOLDER) as started:
        yield started


def block(before: str, language: str) -> str:
    found = re.search(rf"{re.escape(before)}\s*```{language}\n(.*?)```", README, re.DOTALL)
    assert found
    return found[1]


def mean_colours(image: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """What the graph sees: the mean of each cell, computed here by numpy."""
    rows = []
    for cell in CELLS:
        count = 640 // cell
        means = image[0].reshape(3, count, cell, count, cell).mean(axis=(2, 4))
        rows.append(means.reshape(3, -1).T)
    return np.concatenate(rows)


def test_the_readme(server: ServerProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(block("", "python").replace("localhost:8080", server.http), {})
    metadata, response, best = printed.getvalue().splitlines()
    assert eval(metadata) == json.loads(block("<!-- metadata -->", "json"))
    assert eval(response)["outputs"] == [
        {"name": "outputs", "datatype": "FP32", "shape": [1, 8400, 85], "parameters": {"binary_data_size": 2856000}}
    ]
    assert " ".join(best.split()[:2]) in (FOLDER / "labels.txt").read_text().splitlines()


@pytest.mark.parametrize("module", [http_client, grpc_client], ids=["http", "grpc"])
def test_boxes_are_those_of_the_image(module: Any, server: ServerProcess) -> None:
    image = np.random.default_rng(1).random((1, 3, 640, 640), dtype=np.float32)
    client = module.InferenceServerClient(server.http if module is http_client else server.grpc)
    try:
        item = module.InferInput("images", list(image.shape), "FP32")
        item.set_data_from_numpy(image)
        boxes = client.infer("detector", [item], outputs=[module.InferRequestedOutput("outputs")]).as_numpy("outputs")
    finally:
        client.close()
    assert boxes.shape == (1, 8400, 85)
    np.testing.assert_allclose(boxes[0, 0, :4], [0.5 / 80, 0.5 / 80, 1 / 80, 1 / 80])
    np.testing.assert_allclose(boxes[0, -1, :4], [19.5 / 20, 19.5 / 20, 1 / 20, 1 / 20])
    weights = np.random.default_rng(0).normal(size=(3, 81)).astype(np.float32)
    scores = 1 / (1 + np.exp(-(mean_colours(image) @ weights)))
    np.testing.assert_allclose(boxes[0, :, 4:], scores, atol=1e-5)


def test_there_is_a_label_for_each_score() -> None:
    assert len((FOLDER / "labels.txt").read_text().splitlines()) == 80
