"""An ensemble over models whose answers a test decides."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from typing import Any

import numpy as np

from oipserver.errors import NotFoundError
from oipserver.executor.ensemble import EnsembleExecutor
from oipserver.protocol import InferRequest, InferResponse, ModelMetadata, TensorMetadata
from oipserver.runtime import ModelFace
from oipserver.settings import ModelSettings
from oipserver.tensor import Tensor

Step = tuple[str, Mapping[str, str], Mapping[str, str]]


class Model:
    """A loaded model whose answers a test decides: y from its inputs."""

    def __init__(
        self,
        answer: Callable[..., Coroutine[Any, Any, Any]],
        inputs: Mapping[str, str],
        *,
        decoupled: bool = False,
        shape: tuple[int, ...] = (-1, 1),
        optional: tuple[str, ...] = (),
        most: int | None = None,
        stateful: bool = False,
        labels: tuple[str, ...] = (),
    ) -> None:
        told = tuple(
            TensorMetadata(name, datatype, shape, optional=name in optional) for name, datatype in inputs.items()
        )
        metadata = ModelMetadata("m", inputs=told, outputs=(TensorMetadata("y", "FP32", shape),))
        self.face = ModelFace(metadata, decoupled=decoupled, details={"labels": {"y": labels}} if labels else {})
        self.settings = ModelSettings(
            configuration=None if most is None else {"max_batch_size": most}, stateful=stateful
        )
        self.answer = answer
        self.leases = 0
        self.requests: list[InferRequest] = []

    def infer_now(self, request: InferRequest) -> InferResponse | None:
        return None

    async def infer(self, request: InferRequest) -> InferResponse:
        self.requests.append(request)
        value = await self.answer(**{tensor.name: tensor.array for tensor in request.inputs})
        return InferResponse("m", [Tensor.from_array("y", value)] if value is not None else [])

    async def stream(self, request: InferRequest) -> AsyncGenerator[InferResponse]:
        for number in (1, 2):
            answer = await self.infer(request)
            answer.outputs = [Tensor.from_array("y", answer.outputs[0].array * number)]
            yield answer

    def release(self) -> None:
        self.leases -= 1


class Members:
    def __init__(self, models: Mapping[str, Model]) -> None:
        self.models = dict(models)

    def acquire(self, name: str, version: str) -> Model:
        if name not in self.models or version:
            raise NotFoundError(f"Request for unknown model: '{name}' is not found")
        model = self.models[name]
        model.leases += 1
        return model


async def double(x: Any) -> Any:
    return x * 2


async def add(a: Any, b: Any = None) -> Any:
    return a if b is None else a + b


def models(**more: Model) -> dict[str, Model]:
    return {
        "double": Model(double, {"x": "FP32"}),
        "add": Model(add, {"a": "FP32", "b": "FP32"}, optional=("b",)),
        **more,
    }


def tensors(*names: str, dims: tuple[int, ...] = (1,), **more: Any) -> list[dict[str, Any]]:
    return [{"name": name, "data_type": "TYPE_FP32", "dims": list(dims), **more} for name in names]


def ensemble(
    members: Members, steps: list[Step], *, inputs: Any = None, outputs: Any = None, most: int = 4, **more: Any
) -> EnsembleExecutor:
    declared = [
        {"model_name": model, "model_version": "-1", "input_map": dict(taken), "output_map": dict(given)}
        for model, taken, given in steps
    ]
    configuration = {
        "max_batch_size": most,
        "input": inputs or tensors("IN"),
        "output": outputs or tensors("OUT"),
        "ensemble_scheduling": {"step": declared},
    }
    return EnsembleExecutor(ModelSettings(name="e", configuration=configuration, **more), members)


def one(value: float, **more: Any) -> InferRequest:
    return InferRequest("e", [Tensor.from_array("IN", np.full((1, 1), value, np.float32))], **more)


CHAIN: list[Step] = [("double", {"x": "IN"}, {"y": "m"}), ("double", {"x": "m"}, {"y": "OUT"})]
DIAMOND: list[Step] = [
    ("double", {"x": "IN"}, {"y": "l"}),
    ("double", {"x": "IN"}, {"y": "r"}),
    ("add", {"a": "l", "b": "r"}, {"y": "OUT"}),
]


def outputs(response: InferResponse) -> dict[str, float]:
    return {tensor.name: float(tensor.array[0, 0]) for tensor in response.outputs}
