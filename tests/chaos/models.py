"""The models the chaos run serves, and their folders."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
from onnx import TensorProto, helper

PYTHON_MODELS = '''
"""Models for the chaos run: each answer can be checked by its caller."""

import asyncio
import time

import numpy as np

from oipserver import MLModel, Tensor


class Double(MLModel):
    """Twice its input, after a millisecond of work that holds the interpreter."""

    def infer_tensors(self, inputs, outputs, parameters):
        end = time.perf_counter() + 0.001
        while time.perf_counter() < end:
            pass
        return [Tensor.from_array("y", inputs[0].array * np.float32(2))]


class Patient(MLModel):
    """Its input plus one, after waiting; takes several requests at once."""

    async def predict(self, payload):
        from oipserver.types import InferenceResponse, ResponseOutput

        await asyncio.sleep(0.03)
        data = [value + 1 for value in payload.inputs[0].data]
        output = ResponseOutput(name="y", shape=payload.inputs[0].shape, datatype="FP32", data=data)
        return InferenceResponse(model_name=self.name, outputs=[output])
'''


def write_models(root: Path) -> None:
    """``double`` and ``patient`` in workers, ``fickle`` (a second Double) to load and unload, ``triple`` in ONNX."""
    (root / "code").mkdir(parents=True)
    for name, kind, more in (
        ("double", "Double", {"max_batch_size": 8}),
        ("patient", "Patient", {}),
        ("fickle", "Double", {}),
    ):
        folder = root / name
        folder.mkdir()
        (folder / "chaos_models.py").write_text(PYTHON_MODELS)
        settings = {"name": name, "implementation": f"chaos_models.{kind}", "parallel_workers": 2, **more}
        (folder / "model-settings.json").write_text(json.dumps(settings))
    write_triple(root / "triple")


def write_triple(folder: Path) -> None:
    """An ONNX model that batches: y = 3 x, rows of 16."""
    folder.mkdir()
    graph = helper.make_graph(
        [helper.make_node("Mul", ["x", "three"], ["y"])],
        "triple",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", 16])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["rows", 16])],
        [helper.make_tensor("three", TensorProto.FLOAT, [1], [3.0])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    onnx.save(model, folder / "model.onnx")
    settings = {"name": "triple", "implementation": "onnx", "max_batch_size": 16}
    (folder / "model-settings.json").write_text(json.dumps(settings))
