"""What a model answered, as MLflow's users read it: in the form of their question; knows no server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mlflow.deployments import PredictionsResponse

from ...protocol import InferResponse
from ...tensor import Tensor, array_to_json


class Answer(PredictionsResponse):  # type: ignore[misc]
    """An answer with ``outputs``, nested lists by name, and ``predictions``, the values as MLflow's server has them.

    ``to_json`` writes that one of the two which fits the question.
    """

    def __init__(self, response: InferResponse, *, predictions: bool) -> None:
        outputs = {tensor.name: nested(tensor) for tensor in response.outputs}
        told = {tensor.name: nested(_without_added_axis(tensor)) for tensor in response.outputs}
        only = next(iter(told.values())) if len(told) == 1 else told
        super().__init__(outputs=outputs, predictions=only)
        self._shown = "predictions" if predictions else "outputs"

    def to_json(self, path: str | None = None) -> str | None:
        """The answer as JSON text, or in the file at ``path``. NaN and infinities are Python's words for them."""
        text = json.dumps({self._shown: self[self._shown]})
        if path is None:
            return text
        Path(path).write_text(text, encoding="utf-8")
        return None


def nested(tensor: Tensor) -> Any:
    """The elements of ``tensor`` as lists in lists, BYTES as text. Raises InvalidArgumentError where they are none."""
    if tensor.datatype not in ("BYTES", "BF16"):
        return tensor.array.tolist()
    flat: Any = array_to_json(tensor)
    return _folded(flat if isinstance(flat, list) else flat.tolist(), tensor.shape)


def _without_added_axis(tensor: Tensor) -> Tensor:
    """A vector that the content type ``np`` made a column, as a vector."""
    added = (tensor.parameters or {}).get("content_type") == "np" and len(tensor.shape) == 2 and tensor.shape[1] == 1
    return tensor.reshaped(tensor.shape[:1]) if added else tensor


def _folded(flat: list[Any], shape: tuple[int, ...]) -> Any:
    if not shape:
        return flat[0]
    if len(shape) == 1:
        return flat
    step = len(flat) // shape[0] if shape[0] else 0
    return [_folded(flat[row * step : (row + 1) * step], shape[1:]) for row in range(shape[0])]
