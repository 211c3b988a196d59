"""An image classifier: an image goes in as an array, the five labels that fit it best come out."""

import json
import os

import numpy as np
import onnxruntime
from PIL import Image

from oipserver import MLModel
from oipserver.codecs import decode_args

SIZE = 32


class ImageClassifier(MLModel):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        dirname = os.path.dirname(__file__)
        with open(f"{dirname}/labels.json") as f:
            self.label_dict = json.load(f)

    async def load(self) -> bool:
        self._model = onnxruntime.InferenceSession(f"{os.path.dirname(__file__)}/weights.onnx")
        self.ready = True
        return self.ready

    def _transforms(self, img: Image.Image) -> np.ndarray:
        img = img.convert("RGB").resize((SIZE, SIZE), Image.Resampling.BILINEAR)
        return np.asarray(img, dtype=np.float32).transpose(2, 0, 1) / 255

    @decode_args
    async def predict(self, payload: np.ndarray) -> np.ndarray:
        # One image of any size, or several of one size: what requests that were batched together look like.
        images = payload if payload.ndim == 4 else payload[np.newaxis]
        batch = np.stack([self._transforms(Image.fromarray(img)) for img in images])
        (scores,) = self._model.run(None, {"images": batch})
        top5_class_indices = np.argsort(-scores, axis=1)[:, :5]
        top5_classes = [[self.label_dict[str(idx)] for idx in row] for row in top5_class_indices]
        return np.array(top5_classes if payload.ndim == 4 else top5_classes[0])
