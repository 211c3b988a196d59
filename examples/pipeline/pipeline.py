"""Iris flowers from lines of text to species: reads the text, asks the ONNX model, and names what it scored highest."""

import numpy as np

from oipserver import MLModel
from oipserver.codecs import NumpyCodec, StringCodec
from oipserver.errors import InvalidArgumentError
from oipserver.types import InferenceRequest, InferenceResponse

SPECIES = np.array(["setosa", "versicolor", "virginica"])
MEAN = np.array([5.8433, 3.0573, 3.7580, 1.1993], np.float32)
SCALE = np.array([0.8253, 0.4344, 1.7594, 0.7597], np.float32)


class Pipeline(MLModel):
    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        lines = StringCodec.decode_input(payload.inputs[0])
        features = (np.stack([measured(line) for line in lines]) - MEAN) / SCALE

        # Another model of this server: its own queue, its own batches, its own place to run.
        answer = await self.models("iris-scores").infer(features=features)

        scores = np.exp(answer["scores"] - answer["scores"].max(axis=1, keepdims=True))
        probabilities = scores / scores.sum(axis=1, keepdims=True)
        best = probabilities.argmax(axis=1)
        return InferenceResponse(
            model_name=self.name,
            outputs=[
                StringCodec.encode_output("species", SPECIES[best].tolist()),
                NumpyCodec.encode_output("probability", probabilities.max(axis=1)),
            ],
        )


def measured(line: str) -> np.ndarray:
    """Sepal length and width, petal length and width, in centimetres."""
    try:
        values = np.array([float(part) for part in line.replace("cm", "").split(",")], np.float32)
    except ValueError:
        values = np.empty(0, np.float32)
    if values.shape != (4,):
        raise InvalidArgumentError(f"expected four lengths with commas between them, got {line!r}")
    return values
