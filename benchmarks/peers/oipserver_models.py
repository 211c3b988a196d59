"""The benchmarks' Python models as oipserver wants them."""

from __future__ import annotations

import time
from collections.abc import Sequence

from oipserver import MLModel
from oipserver.tensor import Parameters, Tensor


class EchoModel(MLModel):
    """Answers with its input."""

    def infer_tensors(self, inputs: Sequence[Tensor], outputs: Sequence[str], parameters: Parameters) -> list[Tensor]:
        return [Tensor.from_array("y", inputs[0].array)]


class BusyModel(EchoModel):
    """Holds the interpreter lock for two milliseconds of CPU time, then answers with its input."""

    def infer_tensors(self, inputs: Sequence[Tensor], outputs: Sequence[str], parameters: Parameters) -> list[Tensor]:
        end = time.thread_time_ns() + 2_000_000
        while time.thread_time_ns() < end:
            pass
        return super().infer_tensors(inputs, outputs, parameters)
