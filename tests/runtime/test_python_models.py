"""Models written with predict, called as the server calls them: with internal requests, as JSON or raw bytes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pytest

from oipserver.codecs import StringCodec, decode_args
from oipserver.errors import Code, InternalError, MLServerError, OIPError, UnsupportedError
from oipserver.model import MLModel
from oipserver.protocol import InferRequest, InferResponse
from oipserver.protocol.v2_json import read_request, write_response
from oipserver.runtime import ModelHost, host
from oipserver.settings import ModelSettings
from oipserver.tensor import Tensor, pack_bytes
from oipserver.types import InferenceRequest, InferenceResponse, ResponseOutput

Infer = Callable[..., InferResponse]


@pytest.fixture
def infer(monkeypatch: pytest.MonkeyPatch) -> Infer:
    """Loads a model of a class and has it answer one request."""

    def call(kind: type[MLModel], request: InferRequest, **settings: Any) -> InferResponse:
        async def loaded() -> InferResponse:
            made = ModelHost(ModelSettings(name="m", **settings))
            await made.load()
            return await made.infer(request)

        monkeypatch.setattr(host, "resolve_class", lambda _: kind)
        return asyncio.run(loaded())

    return call


def json_request(*inputs: dict[str, Any], **members: Any) -> InferRequest:
    return read_request(orjson.dumps({"inputs": inputs, **members}), "m", headers={"x-foo": "bar"})[0]


def raw_request(**arrays: Any) -> InferRequest:
    tensors = []
    for name, array in arrays.items():
        if array.dtype == object:
            tensors.append(Tensor(name, "BYTES", array.shape, raw=pack_bytes(array)))
        else:
            made = Tensor.from_array(name, array)
            tensors.append(Tensor(name, made.datatype, made.shape, raw=bytes(made.raw)))
    return InferRequest("m", tensors)


def rest(response: InferResponse) -> dict[str, Any]:
    document: dict[str, Any] = orjson.loads(write_response(response))
    return document


class Sum(MLModel):
    @decode_args
    async def predict(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        a += b  # what is decoded is the model's own
        return a


def test_arrays_as_json(infer: Infer) -> None:
    tensor = {"shape": [1, 2], "datatype": "FP32", "data": [1.0, 2.5]}
    response = infer(
        Sum, json_request({"name": "a", **tensor}, {"name": "b", **tensor}, id="7"), parameters={"version": "2"}
    )
    assert rest(response)["outputs"] == [
        {
            "name": "output-0",
            "datatype": "FP32",
            "shape": [1, 2],
            "parameters": {"content_type": "np"},
            "data": [2.0, 5.0],
        }
    ]
    assert (response.id, response.timings is not None) == ("7", True)


def test_arrays_as_raw_bytes(infer: Infer) -> None:
    array = np.array([[1.5, np.nan]], np.float16)
    (output,) = infer(Sum, raw_request(a=array, b=array)).outputs
    assert (output.datatype, output.shape, output.has_array) == ("FP16", (1, 2), True)
    np.testing.assert_array_equal(output.array, 2 * array)


class Shout(MLModel):
    @decode_args
    async def predict(self, t: list[str]) -> list[str]:
        return [text.upper() for text in t]


@pytest.mark.parametrize(
    "request_",
    [
        json_request({"name": "t", "shape": [2, 1], "datatype": "BYTES", "data": ["a", "éü"]}),
        raw_request(t=np.array([[b"a"], ["éü".encode()]], object)),
    ],
    ids=["json", "raw"],
)
def test_text(infer: Infer, request_: InferRequest) -> None:
    assert rest(infer(Shout, request_))["outputs"] == [
        {
            "name": "output-0",
            "datatype": "BYTES",
            "shape": [2, 1],
            "parameters": {"content_type": "str"},
            "data": ["A", "ÉÜ"],
        }
    ]


class Echo(MLModel):
    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        return InferenceResponse(
            model_name=self.name,
            outputs=[
                ResponseOutput(name=each.name, shape=each.shape, datatype=each.datatype, data=each.data)
                for each in payload.inputs
            ],
        )


def test_an_echo_touches_no_data(infer: Infer) -> None:
    request = raw_request(a=np.ones((2, 2), np.float32))
    (output,) = infer(Echo, request).outputs
    assert output.raw is request.inputs[0].raw
    assert not output.has_array


class Elements(MLModel):
    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        kinds = [type(element).__name__ for request_input in payload.inputs for element in request_input.data]
        headers = payload.parameters.headers if payload.parameters else None
        return InferenceResponse(
            model_name=self.name, outputs=[StringCodec.encode_output("kinds", [*kinds, str(headers)])]
        )


def test_elements_are_text_from_json_and_bytes_from_raw(infer: Infer) -> None:
    as_json = json_request(
        {"name": "t", "shape": [1], "datatype": "BYTES", "data": ["a"]},
        {"name": "n", "shape": [1], "datatype": "FP32", "data": [1]},
    )
    assert rest(infer(Elements, as_json))["outputs"][0]["data"] == ["str", "float", "{'x-foo': 'bar'}"]
    as_raw = raw_request(t=np.array([b"a"], object))
    assert rest(infer(Elements, as_raw))["outputs"][0]["data"] == ["bytes", "None"]


class Frame(MLModel):
    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        frame = self.decode_request(payload)
        return self.encode_response(pd.DataFrame({"n": frame["n"] * 2, "t": frame["t"]}))


def test_a_frame_by_the_settings_content_type(infer: Infer) -> None:
    request = json_request(
        {"name": "n", "shape": [2], "datatype": "INT32", "data": [1, 2]},
        {"name": "t", "shape": [2], "datatype": "BYTES", "data": ["a", "b"]},
    )
    response = rest(infer(Frame, request, parameters={"content_type": "pd"}))
    assert response["parameters"] == {"content_type": "pd"}
    assert [(each["name"], each["datatype"], each["data"]) for each in response["outputs"]] == [
        ("n", "INT32", [2, 4]),
        ("t", "BYTES", ["a", "b"]),
    ]


class HTTPException(Exception):  # noqa: N818
    """As web frameworks define it."""

    status_code = 418
    detail = "short and stout"


@pytest.mark.parametrize(
    ("raised", "code", "status", "message"),
    [
        (MLServerError("mine", 409), Code.ALREADY_EXISTS, 409, "mine"),
        (HTTPException("x"), Code.INVALID_ARGUMENT, 418, "short and stout"),
        (NotImplementedError("this"), Code.UNSUPPORTED, None, "model 'm' does not do that: this"),
        (KeyError("k"), Code.INTERNAL, None, "model 'm' failed: KeyError: 'k'"),
    ],
)
def test_what_a_model_raises(infer: Infer, raised: Exception, code: Code, status: int | None, message: str) -> None:
    class Model(MLModel):
        async def predict(self, payload: InferenceRequest) -> InferenceResponse:
            raise raised

    with pytest.raises(OIPError) as caught:
        infer(Model, raw_request())
    assert (caught.value.code, caught.value.status_code, caught.value.message) == (code, status, message)


def test_answers_that_are_none(infer: Infer) -> None:
    class Model(MLModel):
        async def predict(self, payload: InferenceRequest) -> Any:
            return {"a": 1}

    with pytest.raises(InternalError, match="model 'm' returned dict where an InferenceResponse was expected"):
        infer(Model, raw_request())
    with pytest.raises(UnsupportedError):
        infer(MLModel, raw_request())


def test_the_models_mistake_is_not_the_callers(infer: Infer) -> None:
    class Model(MLModel):
        async def predict(self, payload: InferenceRequest) -> InferenceResponse:
            wrong = ResponseOutput(name="o", shape=[1], datatype="FP32", data=["text"])
            return InferenceResponse(model_name="m", outputs=[wrong])

    with pytest.raises(InternalError, match=r"model 'm' returned an unusable tensor: .*'o'"):
        infer(Model, raw_request())
