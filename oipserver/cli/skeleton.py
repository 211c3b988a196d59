"""The files of a new project; ``@NAME@`` stands for what it is called. Knows no file system."""

from __future__ import annotations

_MODEL = '''"""The model: multiplies what it is given by the factor in model-settings.json."""

import numpy as np

from oipserver import MLModel
from oipserver.codecs import decode_args


class Model(MLModel):
    async def load(self) -> bool:
        # Read weights here: self.settings.parameters.uri is where they are.
        self.factor = float(self.settings.parameters.extra["factor"])
        return True

    @decode_args
    async def predict(self, values: np.ndarray) -> np.ndarray:
        return values * self.factor
'''

_MODEL_SETTINGS = """{
  "name": "@NAME@",
  "implementation": "model.Model",
  "parameters": { "version": "1", "extra": { "factor": 2 } }
}
"""

_SETTINGS = """{
  "parallel_workers": 1
}
"""

_REQUEST = """{
  "id": "first",
  "inputs": [{ "name": "values", "shape": [3], "datatype": "FP32", "data": [1, 2.5, 4] }]
}
"""

_TEST = '''"""The model itself, without a server: python -m pytest"""

import asyncio
import json
from pathlib import Path

from model import Model

from oipserver import ModelSettings
from oipserver.types import InferenceRequest

HERE = Path(__file__).parent


def test_every_value_is_multiplied() -> None:
    model = Model(ModelSettings(**json.loads((HERE / "model-settings.json").read_text())))

    async def ask():
        await model.load()
        return await model.predict(InferenceRequest(**json.loads((HERE / "request.json").read_text())))

    assert asyncio.run(ask()).outputs[0].data.root == [2.0, 5.0, 8.0]
'''

_REQUIREMENTS = """# What the model needs beside the server.
numpy
"""

_README = """# @NAME@

```sh
oipserver start .
```

In another terminal:

```sh
curl -s localhost:8080/v2/models/@NAME@/infer -d @request.json
```

| file | what it is |
|---|---|
| `model.py` | the model: what it loads, and what it answers |
| `model-settings.json` | its name, version and parameters; `max_batch_size` and `max_batch_time` turn batching on |
| `settings.json` | the server; `oipserver config show .` tells what can be set |
| `request.json` | a request to try |
| `test_model.py` | a test of the model: `python -m pytest` |
| `requirements.txt` | packages the model needs |
"""

FILES: dict[str, str] = {
    "model.py": _MODEL,
    "model-settings.json": _MODEL_SETTINGS,
    "settings.json": _SETTINGS,
    "request.json": _REQUEST,
    "test_model.py": _TEST,
    "requirements.txt": _REQUIREMENTS,
    "README.md": _README,
}
