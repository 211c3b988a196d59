"""What the model that its input names answers to the other inputs, asked three times at once; all answers."""

import asyncio

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    async def execute(self, requests):
        responses = []
        for request in requests:
            name = pb_utils.get_input_tensor_by_name(request, "MODEL").as_numpy()[0].decode()
            left, right = (
                pb_utils.get_input_tensor_by_name(request, name_).as_numpy()[None] for name_ in ("INPUT0", "INPUT1")
            )
            answers = await asyncio.gather(
                *(
                    pb_utils.InferenceRequest(
                        model_name=name,
                        requested_output_names=["OUTPUT0"],
                        inputs=[pb_utils.Tensor("INPUT0", left + number), pb_utils.Tensor("INPUT1", right)],
                    ).async_exec()
                    for number in range(3)
                )
            )
            failed = [answer.error() for answer in answers if answer.has_error()]
            if failed:
                responses.append(pb_utils.InferenceResponse(error=failed[0]))
                continue
            sums = [pb_utils.get_output_tensor_by_name(answer, "OUTPUT0").as_numpy() for answer in answers]
            responses.append(pb_utils.InferenceResponse([pb_utils.Tensor("SUMS", np.concatenate(sums))]))
        return responses
