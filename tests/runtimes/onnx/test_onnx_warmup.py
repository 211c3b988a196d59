"""Warm-up requests of the settings run before a model is ready."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from oipserver.errors import ModelLoadError
from oipserver.runtime import ModelHost

from .graphs import add, make


def request(rows: int) -> dict[str, Any]:
    tensor = {"shape": [rows, 4], "datatype": "FP32", "data": [1] * 4 * rows}
    return {"inputs": [{"name": name, **tensor} for name in "ab"]}


def host(path: Path, *warmup: dict[str, Any]) -> ModelHost:
    return ModelHost(make(path, warmup=list(warmup)).settings)


def test_every_request_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, ...]] = []
    run = ModelHost.infer_now

    def seeing(self: ModelHost, given: Any) -> Any:
        seen.append(given.inputs[0].shape)
        return run(self, given)

    monkeypatch.setattr(ModelHost, "infer_now", seeing)
    face = asyncio.run(host(add(tmp_path / "model.onnx"), request(1), request(8)).load())
    assert face.execution_provider == "CPUExecutionProvider"
    assert seen == [(1, 4), (8, 4)]


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"inputs": [{"name": "a", "shape": [1, 4], "datatype": "FP32", "data": [1, 2, 3, 4]}]}, "missing are ['b']"),
        ({"inputs": 3}, "'inputs'"),
    ],
)
def test_a_request_that_fails_is_a_load_error(wrong: dict[str, Any], reason: str, tmp_path: Path) -> None:
    with pytest.raises(ModelLoadError) as caught:
        asyncio.run(host(add(tmp_path / "model.onnx"), request(1), wrong).load())
    assert caught.value.message.startswith("model 'm': warm-up request 2 failed: ")
    assert reason in caught.value.message
