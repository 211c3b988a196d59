"""Samples of a configuration are run before a model is ready."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oipserver.errors import ModelLoadError
from oipserver.tensor import Tensor
from tests.registry.loading import Loaded
from tests.runtimes.onnx.graphs import add, identity


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "m" / "1").mkdir(parents=True)
    return tmp_path / "m" / "1" / "model.onnx"


def sample(what: str, dims: str = "4") -> str:
    inputs = "".join(
        f"inputs {{ key: '{name}' value {{ data_type: TYPE_FP32 dims: {dims} {what} }} }}" for name in "ab"
    )
    return f"max_batch_size: 8 model_warmup {{ name: 'first' batch_size: 2 count: 3 {inputs} }}"


@pytest.mark.parametrize("what", ["zero_data: true", "random_data: true", "input_data_file: 'data'"])
def test_warm_up(tmp_path: Path, file: Path, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from oipserver_onnx import OnnxModel

    add(file, ["n", 4])
    (tmp_path / "m" / "warmup").mkdir()
    (tmp_path / "m" / "warmup" / "data").write_bytes(np.arange(8, dtype="<f4").tobytes())
    seen: list[np.ndarray[Any, Any]] = []
    infer = OnnxModel.infer_tensors

    def watched(self: OnnxModel, inputs: Sequence[Tensor], *rest: Any) -> Any:
        seen.append(np.stack([tensor.array for tensor in inputs]))
        return infer(self, inputs, *rest)

    monkeypatch.setattr(OnnxModel, "infer_tensors", watched)
    told = Loaded(tmp_path, sample(what))
    assert len(seen) == 3
    assert {array.shape for array in seen} == {(2, 2, 4)}
    assert (seen[0].any()) == ("zero" not in what)
    assert told.servable.statistics.totals.inference_count == 0


@pytest.mark.parametrize(
    ("configuration", "complaint"),
    [
        (sample("input_data_file: 'gone'"), "warm-up 'first': cannot read"),
        (sample("input_data_file: '../../x'"), "leads out of"),
        (sample("zero_data: true", dims="5"), "warm-up 'first' failed: unexpected shape for input 'a'"),
    ],
)
def test_warm_up_that_fails(tmp_path: Path, file: Path, configuration: str, complaint: str) -> None:
    add(file, ["n", 4])
    with pytest.raises(ModelLoadError, match=complaint):
        Loaded(tmp_path, configuration)


@pytest.mark.parametrize("datatype", ["BOOL", "UINT8", "INT64", "FP16", "BF16", "FP64", "BYTES"])
@pytest.mark.parametrize("what", ["zero_data", "random_data"])
def test_every_datatype(tmp_path: Path, file: Path, datatype: str, what: str) -> None:
    identity(file, datatype, [2, 3])
    name = "TYPE_STRING" if datatype == "BYTES" else f"TYPE_{datatype}"
    given = f"data_type: {name} dims: [2, 3] {what}: true"
    told = Loaded(tmp_path, f"model_warmup {{ inputs {{ key: 'x' value {{ {given} }} }} }}")
    assert told.servable.ready
