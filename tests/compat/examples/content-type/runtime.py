import json

from mlserver import MLModel
from mlserver.codecs import (
    DecodedParameterName,
    InputCodec,
    StringCodec,
    get_decoded,
    has_decoded,
    register_input_codec,
)
from mlserver.codecs.utils import InputOrOutput
from mlserver.types import InferenceRequest, InferenceResponse, RequestInput, ResponseOutput

_to_exclude = {
    "parameters": {DecodedParameterName},
    "inputs": {"__all__": {"parameters": {DecodedParameterName}}},
}


@register_input_codec
class CsvCodec(InputCodec):
    """Lines of comma separated numbers."""

    ContentType = "csv"

    @classmethod
    def _decode(cls, input_or_output: InputOrOutput) -> list:
        (text,) = StringCodec.decode_input(input_or_output)
        return [[float(cell) for cell in line.split(",")] for line in text.splitlines()]

    @classmethod
    def encode_output(cls, name: str, payload: list) -> ResponseOutput:
        text = "\n".join(",".join(str(cell) for cell in line) for line in payload)
        return ResponseOutput(name=name, shape=[1], datatype="BYTES", data=[text.encode()])

    @classmethod
    def decode_output(cls, response_output: ResponseOutput) -> list:
        return cls._decode(response_output)

    @classmethod
    def encode_input(cls, name: str, payload: list) -> RequestInput:
        output = cls.encode_output(name, payload)
        return RequestInput(name=output.name, shape=output.shape, datatype=output.datatype, data=output.data)

    @classmethod
    def decode_input(cls, request_input: RequestInput) -> list:
        return cls._decode(request_input)


class EchoRuntime(MLModel):
    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        outputs = []
        for request_input in payload.inputs:
            decoded = self.decode(request_input)
            print(f"decoded {request_input.name} as {type(decoded).__name__}")
            assert has_decoded(request_input) is (get_decoded(request_input) is not None)
            outputs.append(
                ResponseOutput(
                    name=request_input.name,
                    datatype=request_input.datatype,
                    shape=request_input.shape,
                    data=request_input.data,
                    parameters={"decoded": type(decoded).__name__, "value": str(decoded)},
                )
            )
        request = json.loads(payload.model_dump_json(exclude=_to_exclude))
        names = ",".join(request_input["name"] for request_input in request["inputs"])
        return InferenceResponse(model_name=self.name, outputs=[StringCodec.encode_output("names", [names]), *outputs])
