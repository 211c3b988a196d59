from datetime import datetime

import numpy as np
import pandas as pd
from mlserver import MLModel
from mlserver.codecs import Base64Codec, DatetimeCodec, NumpyCodec, NumpyRequestCodec, PandasCodec, StringCodec
from mlserver.codecs.string import StringRequestCodec
from mlserver.types import InferenceRequest, InferenceResponse, ResponseOutput

ARRAYS = {
    "np-float32": np.array([[1, 0], [1, 1]], np.float32),
    "np-float16": np.array([[1.5], [-2]], np.float16),
    "np-float64": np.array([[0.1, 1e300]]),
    "np-bool": np.array([[True, False], [True, True]]),
    "np-int8": np.array([[-128, 127]], np.int8),
    "np-uint8": np.array([[0, 255]], np.uint8),
    "np-int16": np.array([[-32768, 32767]], np.int16),
    "np-uint16": np.array([[0, 65535]], np.uint16),
    "np-int32": np.array([[1, 2], [3, 4]], np.int32),
    "np-uint32": np.array([[2**32 - 1]], np.uint32),
    "np-int64": np.array([[-(2**63)]]),
    "np-uint64": np.array([[2**64 - 1]], np.uint64),
    "np-one-dimension": np.array([1, 2, 3]),
    "np-no-dimension": np.array(0.5),
    "np-empty": np.zeros((0, 2), np.float32),
    "np-texts": np.array(["a", "bc"]),
    "np-bytes": np.array([b"a", b"bc"]),
    "np-objects": np.array(["a", 1], dtype=object),
    "np-nan": np.array([[1.5, np.nan, np.inf]]),
    "np-datetime64": np.array(["2022-01-11"], dtype="datetime64[D]"),
    "np-complex": np.array([1j]),
}
FRAMES = {
    "pd-plain": {"First Name": ["Joanne", "Michael"], "Age": [34, 22]},
    "pd-floats": {"a": [1.5, float("nan")], "b": [True, False]},
    "pd-json": {"a": [[1, 2], {"k": 1}]},
    "pd-missing-text": {"a": ["x", None]},
    "pd-datetime": {"a": pd.to_datetime(["2022-01-11"])},
    "pd-category": {"a": pd.Categorical(["x", "y"])},
    "pd-nullable": {"a": pd.array([1, None], dtype="Int64")},
}


class GoldenModel(MLModel):
    """Answers with the value its request names, written by the codec for such values."""

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        case = StringCodec.decode_input(payload.inputs[0])[0]
        if case in ARRAYS:
            return self.one(NumpyCodec.encode_output("o", ARRAYS[case]))
        if case in FRAMES:
            return PandasCodec.encode_response(self.name, pd.DataFrame(FRAMES[case]), self.version)
        return getattr(self, case.replace("-", "_"))()

    def one(self, output: ResponseOutput) -> InferenceResponse:
        return InferenceResponse(model_name=self.name, outputs=[output])

    def str_plain(self) -> InferenceResponse:
        return self.one(StringCodec.encode_output("o", ["hey", "é"]))

    def str_not_bytes(self) -> InferenceResponse:
        return self.one(StringCodec.encode_output("o", ["hey", "é"], use_bytes=False))

    def base64_plain(self) -> InferenceResponse:
        return self.one(Base64Codec.encode_output("o", [b"Python is fun"]))

    def datetime_plain(self) -> InferenceResponse:
        return self.one(DatetimeCodec.encode_output("o", [datetime(2022, 1, 11, 11)]))

    def np_request(self) -> InferenceResponse:
        return NumpyRequestCodec.encode_response(self.name, ARRAYS["np-int32"], "v1")

    def str_request(self) -> InferenceResponse:
        return StringRequestCodec.encode_response(self.name, ["hey", "é"])

    def by_payload(self) -> InferenceResponse:
        return self.encode_response(ARRAYS["np-int32"])

    def not_utf8(self) -> InferenceResponse:
        return self.one(ResponseOutput(name="o", shape=[1], datatype="BYTES", data=[b"\xff\xfe"]))

    def array_as_data(self) -> InferenceResponse:
        return self.one(ResponseOutput(name="o", shape=[1], datatype="FP32", data=[np.float32(1.5)]))
