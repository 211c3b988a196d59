from typing import List, Optional, Tuple

import numpy as np
from mlserver import MLModel
from mlserver.codecs import decode_args


class SignatureModel(MLModel):
    """Arguments decoded by their types."""

    @decode_args
    async def predict(
        self, x: np.ndarray, labels: List[str], scale: Optional[np.ndarray] = None
    ) -> Tuple[np.ndarray, List[str]]:
        factor = 1 if scale is None else scale
        return x * factor, [label.upper() for label in labels]
