"""A tutorial for MLServer, walked command by command with this server: a service of one's own, asked and improved.

Its vision transformer is a small network here, with weights made by a script; everything else is what its reader types.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from tests.support.server_process import ServerProcess

pytest.importorskip("PIL", reason="the tutorial opens pictures with Pillow")
pytest.importorskip("requests", reason="the tutorial asks with requests")
from PIL import Image

pytestmark = pytest.mark.process

CLASSES = 21841

MAKE_WEIGHTS = f"""
import json, numpy as np
random = np.random.default_rng(0)
np.save("tinyvit/weights.npy", random.normal(size=(192, {CLASSES})).astype(np.float32))
json.dump({{str(i): f"class {{i}}" for i in range({CLASSES})}}, open("tinyvit/imagenet-22k.json", "w"))
"""

HEAD = """
from mlserver import MLModel
from mlserver.codecs import decode_args
import numpy as np
from PIL import Image

import json
import os

class TinyViTModel(MLModel):
"""

LABELS = """
    def __init__(self, *args, **kwargs):
        super(TinyViTModel, self).__init__(*args, **kwargs)
        dirname = os.path.dirname(__file__)
        with open(f'{dirname}/imagenet-22k.json') as f:
            d = json.load(f)
        self.label_dict = d
"""

LOAD = """
    async def load(self) -> bool:
        self._weights = np.load(os.path.dirname(__file__) + "/weights.npy")
        self.ready = True
        return self.ready

    def _model(self, payload):
        img = Image.fromarray(payload)
        img = np.asarray(img.resize((8, 8)), np.float32).reshape(1, 192) / 255 - 0.5
        output = np.exp(img @ self._weights)
        return output / output.sum(axis=1, keepdims=True)
"""

FIRST = (
    HEAD
    + LOAD
    + """
    @decode_args
    async def predict(self, payload: np.ndarray) -> np.ndarray:
        return self._model(payload)
"""
)

SECOND = (
    HEAD
    + LABELS
    + LOAD
    + """
    @decode_args
    async def predict(self, payload: np.ndarray) -> np.ndarray:
        top5_class_indices = np.argsort(-self._model(payload)[0])[:5]
        top5_classes = [self.label_dict[str(idx)] for idx in top5_class_indices.tolist()]
        return np.array(top5_classes)
"""
)

MODEL_SETTINGS = """{
    "name": "tinyvit",
    "implementation": "serve-model.TinyViTModel"
}
"""

CLIENT = """
from oipserver.codecs import NumpyCodec
from oipserver.types import InferenceRequest
import numpy as np
from PIL import Image
import requests

inference_url = "http://localhost:8080/v2/models/tinyvit/infer"
input_data = np.array(Image.open("imgs/cat.jpg"))

inference_request = InferenceRequest(
    inputs=[
        NumpyCodec.encode_input(name="payload", payload=input_data)
    ]
)

res = requests.post(inference_url, json=inference_request.dict())
print(res.json())
"""


@pytest.fixture
def lab07(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the tutorial's reader has been given."""
    lab = tmp_path / "lab07"
    (lab / "tinyvit").mkdir(parents=True)
    (lab / "imgs").mkdir()
    picture = np.random.default_rng(1).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    Image.fromarray(picture).save(lab / "imgs" / "cat.jpg")
    (lab / "tinyvit" / "model-settings.json").write_text(MODEL_SETTINGS)
    monkeypatch.chdir(lab)
    subprocess.run([sys.executable, "-c", MAKE_WEIGHTS], check=True)
    return lab


def ask(server: ServerProcess) -> dict[str, Any]:
    """What the tutorial's client prints, a Python dictionary."""
    client = CLIENT.replace("localhost:8080", server.http)
    done = subprocess.run([sys.executable, "-c", client], capture_output=True, text=True, check=True)
    answer: dict[str, Any] = eval(done.stdout, {})
    return answer


def test_getting_started(lab07: Path, serve: Callable[..., ServerProcess]) -> None:
    curl = shutil.which("curl") or pytest.skip("the tutorial asks with curl")
    Path("tinyvit/serve-model.py").write_text(FIRST)
    server = serve(Path("tinyvit"))
    assert re.search(r"tinyvit +- +READY", server.output)
    command = [curl, "-s", "-X", "GET", server.url("/v2/models/tinyvit")]
    metadata = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert metadata == ('{"name":"tinyvit","versions":[],"platform":"","inputs":[],"outputs":[],"parameters":{}}')
    (output,) = ask(server)["outputs"]
    assert (output["name"], output["datatype"], output["shape"]) == ("output-0", "FP32", [1, CLASSES])
    assert sum(output["data"]) == pytest.approx(1, abs=1e-3)
    documentation = server.get("/v2/docs")
    assert (documentation.status_code, documentation.headers["content-type"]) == (200, "text/html; charset=utf-8")


def test_five_labels_more_workers_and_batches(lab07: Path, serve: Callable[..., ServerProcess]) -> None:
    Path("tinyvit/serve-model.py").write_text(FIRST)
    (probabilities,) = ask(serve(Path("tinyvit")))["outputs"]
    Path("tinyvit/serve-model.py").write_text(SECOND)
    settings = {"parallel_workers": 4, "max_batch_size": 4, "max_batch_time": 0.1}
    Path("tinyvit/settings.json").write_text(json.dumps(settings))
    server = serve(Path("tinyvit"))
    assert re.search(r"tinyvit +- +READY .* 4 workers", server.output)
    answer = ask(server)
    (output,) = answer["outputs"]
    best = np.argsort(-np.array(probabilities["data"]))[:5]
    assert output["data"] == [f"class {index}" for index in best]
    assert (answer["model_name"], output["datatype"], output["shape"]) == ("tinyvit", "BYTES", [5, 1])
    metrics = httpx.get(f"http://{server.metrics}/metrics").text
    assert 'model_infer_request_success_total{model="tinyvit",version="None"} 1.0' in metrics


def test_a_comma_too_many_is_pointed_at(lab07: Path) -> None:
    """The tutorial's own settings end in a comma, which is no JSON; MLServer does not take them either."""
    Path("tinyvit/serve-model.py").write_text(FIRST)
    Path("tinyvit/model-settings.json").write_text(MODEL_SETTINGS.replace('Model"\n', 'Model",\n'))
    command = [sys.executable, "-m", "oipserver", "start", "tinyvit"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode != 0
    assert "tinyvit/model-settings.json, line 3, column 49: trailing comma: remove it" in done.stderr


def test_packaging(lab07: Path) -> None:
    Path("tinyvit/serve-model.py").write_text(FIRST)
    Path("tinyvit/requirements.txt").write_text("numpy\npillow\n")
    command = [sys.executable, "-m", "oipserver", "dockerfile", "tinyvit/"]
    subprocess.run(command, capture_output=True, text=True, check=True)
    written = Path("tinyvit/Dockerfile").read_text()
    assert re.search(r"pip install .*-r /requirements/0\.txt", written, re.DOTALL)
    assert '"oipserver", "start"' in written
