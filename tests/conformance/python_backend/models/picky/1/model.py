"""Its input, and how many requests were executed together; 13 is an error of its own, 99 spoils the whole batch."""

import time

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        time.sleep(0.1)  # others gather meanwhile
        responses = []
        for request in requests:
            numbers = pb_utils.get_input_tensor_by_name(request, "IN").as_numpy()
            if (numbers == 99).any():
                return responses
            if (numbers == 13).any():
                error = pb_utils.TritonError(
                    f"{request.request_id()} brings bad luck", pb_utils.TritonError.INVALID_ARG
                )
                responses.append(pb_utils.InferenceResponse(error=error))
                continue
            numbers += 1  # in place, as models do
            outputs = [
                pb_utils.Tensor("OUT", numbers),
                pb_utils.Tensor("TOGETHER", np.full(numbers.shape, len(requests), np.int32)),
            ]
            responses.append(pb_utils.InferenceResponse(outputs))
        return responses
