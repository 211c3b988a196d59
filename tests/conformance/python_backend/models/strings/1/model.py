"""Its strings as they came, and how long they are."""

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        responses = []
        for request in requests:
            texts = pb_utils.get_input_tensor_by_name(request, "INPUT").as_numpy()
            assert texts.dtype == np.object_
            assert all(type(text) is bytes for text in texts)
            lengths = np.array([len(text) for text in texts], np.int64)
            outputs = [pb_utils.Tensor("OUTPUT", texts), pb_utils.Tensor("LENGTHS", lengths)]
            responses.append(pb_utils.InferenceResponse(outputs))
        return responses
