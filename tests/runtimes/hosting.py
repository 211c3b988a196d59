"""What the runtimes' tests share: models loaded from a folder, and short requests to them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from oipserver import ModelSettings, Tensor
from oipserver.protocol import InferRequest, RequestedOutput
from oipserver.runtime import ModelFace, ModelHost


class Hosted:
    """A model of ``implementation`` loaded from ``folder``, as a worker would load it."""

    def __init__(self, implementation: str, folder: Path, **settings: Any) -> None:
        self.host = ModelHost(settings_of(implementation, folder, **settings))
        self.face: ModelFace = asyncio.run(self.host.load())

    def ask(
        self, *inputs: Tensor | np.ndarray[Any, Any], outputs: Sequence[str] = (), **parameters: Any
    ) -> list[Tensor]:
        """The outputs for ``inputs``, which are called x0, x1, ... unless they are tensors already."""
        tensors = [
            given if isinstance(given, Tensor) else Tensor.from_array(f"x{index}", given)
            for index, given in enumerate(inputs)
        ]
        wanted = [RequestedOutput(name) for name in outputs]
        request = InferRequest("m", tensors, outputs=wanted, parameters=parameters)
        return asyncio.run(self.host.infer(request)).outputs

    def array(
        self, *inputs: Tensor | np.ndarray[Any, Any], output: str = "", **parameters: Any
    ) -> np.ndarray[Any, Any]:
        """The one output for ``inputs``."""
        (tensor,) = self.ask(*inputs, outputs=[output] if output else (), **parameters)
        assert tensor.name == (output or tensor.name)
        return tensor.array

    @property
    def told_inputs(self) -> list[tuple[str, str, tuple[int, ...]]]:
        """Name, datatype and shape of the inputs in the metadata."""
        return [(tensor.name, tensor.datatype, tensor.shape) for tensor in self.face.metadata.inputs]

    @property
    def told_outputs(self) -> list[tuple[str, str, tuple[int, ...]]]:
        """Name, datatype and shape of the outputs in the metadata."""
        return [(tensor.name, tensor.datatype, tensor.shape) for tensor in self.face.metadata.outputs]


def settings_of(implementation: str, folder: Path, **more: Any) -> ModelSettings:
    """Settings as if their file were in ``folder``."""
    settings = ModelSettings.model_validate({"name": "m", "implementation": implementation, **more})
    settings._source = str(folder / "model-settings.json")
    return settings


def text(name: str, *values: str, as_text: bool = True, **parameters: Any) -> Tensor:
    """A BYTES input of shape [n, 1], as REST (text) or gRPC (bytes) give it."""
    array = np.array([value.encode() for value in values], dtype=object).reshape(-1, 1)
    return Tensor(name, "BYTES", array.shape, array=array, parameters=parameters or None, text=as_text)
