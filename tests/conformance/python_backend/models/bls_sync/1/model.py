"""What the model that its input names answers to the other inputs."""

import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        responses = []
        for request in requests:
            name = pb_utils.get_input_tensor_by_name(request, "MODEL").as_numpy()[0].decode()
            inputs = [
                pb_utils.Tensor(name_, pb_utils.get_input_tensor_by_name(request, name_).as_numpy()[None])
                for name_ in ("INPUT0", "INPUT1")
            ]
            asked = pb_utils.InferenceRequest(
                model_name=name, requested_output_names=["OUTPUT0", "OUTPUT1"], inputs=inputs
            )
            answer = asked.exec()
            if answer.has_error():
                raise pb_utils.TritonModelException(answer.error().message())
            outputs = [
                pb_utils.Tensor(name_, pb_utils.get_output_tensor_by_name(answer, name_).as_numpy()[0])
                for name_ in ("OUTPUT0", "OUTPUT1")
            ]
            responses.append(pb_utils.InferenceResponse(outputs))
        return responses
