"""PyTorch programs through a whole server, in a worker process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.server_process import ServerProcess

torch: Any = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch")


@pytest.mark.process
def test_both_kinds_of_programs(tmp_path: Path) -> None:
    torch.manual_seed(0)
    layer = torch.nn.Linear(4, 2).eval()
    for name in ("script", "exported"):
        (tmp_path / name).mkdir()
        settings = {"name": name, "implementation": "torch"}
        (tmp_path / name / "model-settings.json").write_text(json.dumps(settings))
    torch.jit.trace(layer, (torch.zeros(1, 4),)).save(tmp_path / "script" / "model.pt")
    dynamic = ({0: torch.export.Dim("rows")},)
    program = torch.export.export(layer, (torch.zeros(3, 4),), dynamic_shapes=dynamic)
    torch.export.save(program, tmp_path / "exported" / "model.pt2")
    rows = np.linspace(-1, 1, 8, dtype=np.float32).reshape(2, 4)
    with torch.inference_mode():
        expected = layer(torch.from_numpy(rows)).numpy()
    right = {"name": "input", "shape": [2, 4], "datatype": "FP32", "data": rows.tolist()}
    wrong = {**right, "shape": [4, 2], "data": rows.reshape(4, 2).tolist()}
    with ServerProcess(tmp_path) as server:
        for name in ("script", "exported"):
            answer = server.infer(name, {"inputs": [right]})
            assert answer.status_code == 200, answer.text
            (output,) = answer.json()["outputs"]
            np.testing.assert_allclose(np.reshape(output["data"], output["shape"]), expected, rtol=1e-6)
            answer = server.infer(name, {"inputs": [wrong]})
            assert answer.status_code == 400, answer.text
        told = server.get("/v2/models/exported").json()
    assert told["platform"] == "pytorch_export"
    assert [tensor["shape"] for tensor in told["inputs"]] == [[-1, 4]]
