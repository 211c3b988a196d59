"""The benchmarks' models as MLServer wants them; runs in MLServer's own environment."""

from __future__ import annotations

import time

import onnxruntime
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse, RequestInput, ResponseOutput


class OnnxModel(MLModel):
    """Runs the ONNX file of ``parameters.uri`` on one thread."""

    async def load(self) -> bool:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        uri = self.settings.parameters.uri
        self._session = onnxruntime.InferenceSession(uri, options, providers=["CPUExecutionProvider"])
        self._names = [output.name for output in self._session.get_outputs()]
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        feed = {tensor.name: NumpyCodec.decode_input(tensor) for tensor in payload.inputs}
        arrays = self._session.run(self._names, feed)
        outputs = [NumpyCodec.encode_output(name, array) for name, array in zip(self._names, arrays, strict=True)]
        for output, array in zip(outputs, arrays, strict=True):
            output.shape = list(array.shape)  # the codec makes columns of vectors
        return InferenceResponse(model_name=self.name, outputs=outputs)


class BusyModel(MLModel):
    """Holds the interpreter lock for two milliseconds of CPU time, then answers with its input."""

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        end = time.thread_time_ns() + 2_000_000
        while time.thread_time_ns() < end:
            pass
        return _echo(self.name, payload.inputs[0])


class EchoModel(MLModel):
    """Answers with its input."""

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        return _echo(self.name, payload.inputs[0])


def _echo(name: str, tensor: RequestInput) -> InferenceResponse:
    output = ResponseOutput(
        name="y", datatype=tensor.datatype, shape=tensor.shape, data=tensor.data, parameters=tensor.parameters
    )
    return InferenceResponse(model_name=name, outputs=[output])
