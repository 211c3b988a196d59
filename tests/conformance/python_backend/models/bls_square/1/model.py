"""The sum of all responses of the decoupled model "square"."""

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        responses = []
        for request in requests:
            asked = pb_utils.InferenceRequest(
                model_name="square",
                requested_output_names=["OUT"],
                inputs=[pb_utils.get_input_tensor_by_name(request, "IN")],
                trace=request.trace(),
            )
            total = np.zeros(1, np.int32)
            error = None
            for response in asked.exec(decoupled=True):
                if response.has_error():
                    error = response.error()
                elif response.output_tensors():
                    total += pb_utils.get_output_tensor_by_name(response, "OUT").as_numpy()
            responses.append(pb_utils.InferenceResponse([pb_utils.Tensor("OUT", total)], error))
        return responses
