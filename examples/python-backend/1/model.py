"""Counts the words of texts and finds the longest one: a model as it is written for Triton's Python backend."""

import json

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args):
        config = json.loads(args["model_config"])
        self.separator = config["parameters"]["separator"]["string_value"]
        pb_utils.Logger.log_info(f"{args['model_name']} version {args['model_version']} is ready")

    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        texts = pb_utils.get_input_tensor_by_name(request, "text").as_numpy()
        try:
            words = [text.decode().split(self.separator) for text in texts.ravel()]
        except UnicodeDecodeError:
            error = pb_utils.TritonError("the text is not UTF-8", pb_utils.TritonError.INVALID_ARG)
            return pb_utils.InferenceResponse(error=error)
        counts = np.array([len(found) for found in words], np.int64).reshape(texts.shape)
        longest = np.array([max(found, key=len) for found in words], dtype=object).reshape(texts.shape)
        return pb_utils.InferenceResponse([pb_utils.Tensor("words", counts), pb_utils.Tensor("longest", longest)])
