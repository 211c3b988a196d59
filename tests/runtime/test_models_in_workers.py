"""What a Python model sees and says is the same in the server's process and in a worker."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import numpy as np
import orjson
import pytest

from oipserver.errors import OIPError
from oipserver.executor import Executor, InProcessExecutor
from oipserver.executor.pool import PoolManager
from oipserver.protocol import InferRequest
from oipserver.protocol.v2_json import read_request
from oipserver.runtime.handlers import HandlerRequest
from oipserver.settings import ModelSettings, Settings
from oipserver.tensor import Tensor

CODE = """
import numpy as np

from oipserver.codecs import decode_args
from oipserver.errors import MLServerError
from oipserver.handlers import custom_handler
from oipserver.model import MLModel


class Model(MLModel):
    @decode_args
    async def predict(self, x: np.ndarray, t: np.ndarray, status: int = 0) -> tuple[np.ndarray, list[str]]:
        if status:
            raise MLServerError("refused", status)
        x *= 2
        return x, [t.dtype.kind, str(t.tolist())]

    @custom_handler("/join/{sep}")
    def join(self, sep: str, words: list[str]) -> str:
        return sep.join(words)
"""


@pytest.fixture(scope="module", params=["in-process", "worker"])
def loaded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, Executor]]:
    """A loop, and the model loaded in one of the two places."""
    folder = tmp_path_factory.mktemp("model")
    (folder / "seen_from_both_sides.py").write_text(CODE)
    settings = ModelSettings(name="m", implementation="seen_from_both_sides.Model")
    settings._source = str(folder / "model-settings.json")
    with asyncio.Runner() as runner:
        manager = PoolManager(Settings(parallel_workers=1)) if request.param == "worker" else None
        executor = manager.executor(settings) if manager else InProcessExecutor(settings)
        runner.run(executor.load())
        yield runner.run, executor
        runner.run(executor.unload())
        if manager:
            runner.run(manager.close())


def json_request(**parameters: Any) -> InferRequest:
    inputs = [
        {"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 2.5]},
        {"name": "t", "shape": [2], "datatype": "BYTES", "data": ["a", "é"]},
    ]
    return read_request(orjson.dumps({"inputs": inputs, "parameters": parameters}), "m")[0]


def test_text_and_arrays_of_json(loaded: tuple[Any, Executor]) -> None:
    run, executor = loaded
    numbers, text = run(executor.execute(json_request())).outputs
    assert numbers.array.tolist() == [[2.0, 5.0]]
    assert text.array.ravel().tolist() == [b"U", "['a', 'é']".encode()]
    assert text.parameters == {"content_type": "str"}


def test_bytes_of_a_binary_wire(loaded: tuple[Any, Executor]) -> None:
    run, executor = loaded
    elements = np.array([b"a", b"\xff\x00"], object)
    inputs = [Tensor.from_array("x", np.ones((1, 1), np.float32)), Tensor.from_array("t", elements)]
    text = run(executor.execute(InferRequest("m", inputs))).outputs[1]
    assert text.array.ravel().tolist() == [b"O", rb"[b'a', b'\xff\x00']"]


def test_the_status_a_model_names(loaded: tuple[Any, Executor]) -> None:
    run, executor = loaded
    with pytest.raises(OIPError, match=r"^refused$") as caught:
        run(executor.execute(json_request(status=418)))
    assert caught.value.status_code == 418


def test_custom_handlers(loaded: tuple[Any, Executor]) -> None:
    run, executor = loaded
    request = HandlerRequest("join", path_params={"sep": "-"}, body=b'["a","b"]')
    assert run(executor.call_handler(request)).body == b'"a-b"'
