"""What the tests of the Python backend share: models from their code, loaded as a worker loads them, and requests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from oipserver import Tensor
from oipserver.protocol import InferRequest, InferResponse
from oipserver.runtime import ModelHost
from tests.runtimes.hosting import settings_of

HEAD = "import json\nimport numpy as np\nimport triton_python_backend_utils as pb_utils\n"
ECHO = """
class TritonPythonModel:
    def execute(self, requests):
        return [pb_utils.InferenceResponse([pb_utils.Tensor("OUT", r.inputs()[0].as_numpy())]) for r in requests]
"""
DECOUPLED = {"model_transaction_policy": {"decoupled": True}}


def host_of(folder: Path, code: str, **configuration: Any) -> ModelHost:
    (folder / "1").mkdir(exist_ok=True)
    (folder / "1" / "model.py").write_text(code)
    return ModelHost(settings_of("python", folder, configuration=configuration))


def request(*values: int, **more: Any) -> InferRequest:
    return InferRequest("m", [Tensor.from_array("IN", np.array(values, np.int32))], **more)


async def ask(folder: Path, code: str, *requests: InferRequest, **configuration: Any) -> list[Any]:
    """The outcomes of ``requests``, executed together."""
    host = host_of(folder, HEAD + code, **configuration)
    await host.load()
    try:
        return await host.infer_all(requests)
    finally:
        await host.unload()


async def read(folder: Path, code: str, **configuration: Any) -> list[InferResponse]:
    """All responses to one request of a decoupled model."""
    host = host_of(folder, HEAD + code, **DECOUPLED, **configuration)
    await host.load()
    try:
        return [response async for response in host.stream(request(1))]
    finally:
        await host.unload()
