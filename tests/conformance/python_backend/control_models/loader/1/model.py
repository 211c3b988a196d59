"""Loads and unloads the model "number", asks whether it is ready, and asks it for its number."""

import json

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        responses = []
        for request in requests:
            what = pb_utils.get_input_tensor_by_name(request, "WHAT").as_numpy()[0].decode()
            try:
                said = self.do(what)
            except pb_utils.TritonModelException as error:
                said = f"failed: {error}"
            said = np.array([said], dtype=object)
            responses.append(pb_utils.InferenceResponse([pb_utils.Tensor("SAID", said)]))
        return responses

    def do(self, what):
        if what == "load":
            pb_utils.load_model("number")
        elif what == "load another":
            config = {
                "backend": "python",
                "input": [{"name": "IN", "data_type": "TYPE_INT32", "dims": [1]}],
                "output": [{"name": "OUT", "data_type": "TYPE_INT32", "dims": [1]}],
                "parameters": {"number": {"string_value": "2"}},
            }
            pb_utils.load_model(model_name="number", config=json.dumps(config))
        elif what == "load nobody":
            pb_utils.load_model("nobody")
        elif what == "unload":
            pb_utils.unload_model("number")
        elif what in ("ask", "wait"):
            number = pb_utils.Tensor("IN", np.array([0 if what == "ask" else -1], np.int32))
            asked = pb_utils.InferenceRequest(
                model_name="number", requested_output_names=["OUT"], inputs=[number]
            ).exec()
            if asked.has_error():
                raise pb_utils.TritonModelException(asked.error().message())
            return str(asked.output_tensors()[0].as_numpy()[0])
        return str(pb_utils.is_model_ready("number"))
