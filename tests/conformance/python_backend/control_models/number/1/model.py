"""The number in its configuration; a negative input makes it wait until nobody wants the answer any more."""

import json
import time
from pathlib import Path

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args):
        config = json.loads(args["model_config"])
        self.number = int(config["parameters"]["number"]["string_value"])
        self.folder = Path(args["model_repository"])

    def execute(self, requests):
        responses = []
        for request in requests:
            if request.inputs()[0].as_numpy()[0] < 0:
                (self.folder / "began").touch()
                while not request.is_cancelled():
                    time.sleep(0.01)
                (self.folder / "given-up").touch()
            out = pb_utils.Tensor("OUT", np.array([self.number], np.int32))
            responses.append(pb_utils.InferenceResponse([out]))
        return responses
