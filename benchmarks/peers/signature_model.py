"""A ``@decode_args`` numpy model written for MLServer; the same file runs in both servers."""

from __future__ import annotations

import numpy as np
from mlserver import MLModel
from mlserver.codecs import decode_args


class SignatureModel(MLModel):
    """Twice its input."""

    @decode_args
    async def predict(self, x: np.ndarray) -> np.ndarray:
        return x * np.float32(2)
