"""Pipelines through a whole server, in a worker process, batched."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.server_process import ServerProcess

transformers: Any = pytest.importorskip(
    "transformers", reason="transformers are not installed: pip install transformers"
)
pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch")
Image: Any = pytest.importorskip("PIL.Image", reason="Pillow is not installed: pip install pillow")

from .tiny import bert, vit  # noqa: E402


def settings(folder: Path, task: str, **more: Any) -> None:
    told = {"name": folder.name, "implementation": "huggingface", "parameters": {"extra": {"task": task}}, **more}
    (folder / "model-settings.json").write_text(json.dumps(told))


@pytest.mark.process
def test_text_and_images(tmp_path: Path) -> None:
    settings(bert("SequenceClassification", tmp_path / "mood"), "text-classification", max_batch_size=8)
    settings(vit(tmp_path / "eyes"), "image-classification")
    lines = ["hello world", "good film"]
    moods = transformers.pipeline("text-classification", model=str(tmp_path / "mood"))(lines)
    buffer = io.BytesIO()
    picture = Image.new("RGB", (20, 30), "red")
    picture.save(buffer, format="PNG")
    animals = transformers.pipeline("image-classification", model=str(tmp_path / "eyes"))(picture)
    with ServerProcess(tmp_path) as server:
        tensor = {"name": "array_inputs", "shape": [2], "datatype": "BYTES", "data": lines}
        answer = server.infer("mood", {"inputs": [tensor]})
        assert answer.status_code == 200, answer.text
        (output,) = answer.json()["outputs"]
        assert output["parameters"] == {"content_type": "hg_jsonlist"}
        assert [json.loads(part)["label"] for part in output["data"]] == [mood["label"] for mood in moods]
        encoded = base64.b64encode(buffer.getvalue()).decode()
        tensor = {"name": "inputs", "shape": [1], "datatype": "BYTES", "data": [encoded]}
        (output,) = server.infer("eyes", {"inputs": [tensor]}).json()["outputs"]
        assert [part["label"] for part in json.loads(output["data"][0])] == [animal["label"] for animal in animals]
        assert server.infer("eyes", {"inputs": [{**tensor, "data": ["nothing"]}]}).status_code == 400
