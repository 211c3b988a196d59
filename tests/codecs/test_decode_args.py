"""decode_args: methods of values, by their type hints."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any, List, Optional, Tuple, Union  # noqa: UP035  # both spellings are what is tested

import numpy as np
import pandas as pd
import pytest

from oipserver.codecs import NumpyCodec, PandasCodec, StringCodec, decode_args
from oipserver.codecs.decorator import SignatureCodec, _as_list
from oipserver.codecs.errors import CodecNotFound, InputsNotFound, OutputNotFound
from oipserver.errors import InferenceError
from oipserver.model import MLModel
from oipserver.settings import ModelSettings
from oipserver.types import InferenceRequest, InferenceResponse, Parameters, RequestInput

ARRAY = np.array([[1.0, 2.0]])


def request_of(*inputs: RequestInput, **parameters: Any) -> InferenceRequest:
    return InferenceRequest(inputs=list(inputs), parameters=Parameters(**parameters) if parameters else None)


def answer(kind: type[MLModel], request: InferenceRequest) -> InferenceResponse:
    model = kind(ModelSettings(name="m", parameters={"version": "2"}))
    return asyncio.run(model.predict(request))


X = NumpyCodec.encode_input("x", ARRAY)
T = StringCodec.encode_input("t", ["a"])


def test_arguments_and_results() -> None:
    class Model(MLModel):
        @decode_args
        async def predict(self, x: np.ndarray, t: List[str]) -> Tuple[np.ndarray, list[str]]:  # noqa: UP006
            assert isinstance(x, np.ndarray)
            return 2 * x, [text.upper() for text in t]

    response = answer(Model, request_of(T, X))
    assert (response.model_name, response.model_version) == ("m", "2")
    assert [output.name for output in response.outputs] == ["output-0", "output-1"]
    assert NumpyCodec.decode_output(response.outputs[0]).tolist() == [[2.0, 4.0]]
    assert StringCodec.decode_output(response.outputs[1]) == ["A"]
    assert response.model_dump()["outputs"][1]["parameters"] == {"content_type": "str"}


def test_it_keeps_the_methods_name_and_takes_plain_methods() -> None:
    class Model(MLModel):
        @decode_args
        def predict(self, x: np.ndarray) -> np.ndarray:
            """Half."""
            return x / 2

    assert (Model.predict.__name__, Model.predict.__doc__) == ("predict", "Half.")
    assert NumpyCodec.decode_output(answer(Model, request_of(X)).outputs[0]).tolist() == [[0.5, 1.0]]


def test_instants_and_bytes() -> None:
    class Model(MLModel):
        @decode_args
        async def predict(self, d: List[Union[str, datetime]], b: list[bytes]) -> list[datetime]:  # noqa: UP006, UP007
            assert b == [b"x"]
            return d

    when = RequestInput(name="d", shape=[1], datatype="BYTES", data=["2022-01-11T11:00:00"])
    response = answer(Model, request_of(when, RequestInput(name="b", shape=[1], datatype="BYTES", data=[b"x"])))
    assert response.outputs[0].data.root == [b"2022-01-11T11:00:00"]


@pytest.mark.parametrize("hint", [Optional[np.ndarray], np.ndarray | None, Union[np.ndarray, None]])  # noqa: UP045, UP007
def test_optional_arguments_may_be_missing(hint: Any) -> None:
    def predict(x, t):
        raise NotImplementedError

    predict.__annotations__ = {"x": hint, "t": List[str]}  # noqa: UP006
    codec = SignatureCodec(predict)
    assert codec.decode_request(request_of(T)) == {"x": None, "t": ["a"]}
    assert codec.decode_request(request_of(T, X))["x"].tolist() == [[1.0, 2.0]]


def test_defaults_stand_in_for_missing_arguments() -> None:
    class Model(MLModel):
        @decode_args
        async def predict(self, x: np.ndarray, t: list[str] = ("d",), top: int = 3) -> list[str]:
            return [*t, str(top)]

    assert StringCodec.decode_output(answer(Model, request_of(X)).outputs[0]) == ["d", "3"]
    assert StringCodec.decode_output(answer(Model, request_of(X, T, top=5)).outputs[0]) == ["a", "5"]


def test_parameters_of_the_request_are_arguments() -> None:
    def predict(x: np.ndarray, top: int, share: float, all_: Parameters, whole: InferenceRequest) -> None:
        raise NotImplementedError

    codec = SignatureCodec(predict)
    request = request_of(X, top=3, share=1)
    arguments = codec.decode_request(request)
    assert (arguments["top"], arguments["share"], type(arguments["share"])) == (3, 1.0, float)
    assert (arguments["all_"], arguments["whole"]) == (request.parameters, request)
    with pytest.raises(InferenceError, match="Parameter 'top' takes int, got str"):
        codec.decode_request(request_of(X, top="3", share=1.0))
    with pytest.raises(InferenceError, match="Parameter 'top' takes int, got bool"):
        codec.decode_request(request_of(X, top=True, share=1.0))
    with pytest.raises(InferenceError, match="Parameter 'share' is missing"):
        codec.decode_request(request_of(X, top=1))


def test_a_frame_takes_the_inputs_nobody_else_does() -> None:
    class Model(MLModel):
        @decode_args
        async def predict(self, x: np.ndarray, frame: pd.DataFrame) -> pd.DataFrame:
            return frame.assign(total=x.sum())

    frame = pd.DataFrame({"a": [1], "b": ["t"]})
    response = answer(Model, request_of(X, *PandasCodec.encode_request(frame).inputs))
    assert [output.name for output in response.outputs] == ["a", "b", "total"]
    assert PandasCodec.decode_response(response).to_dict("list") == {"a": [1], "b": ["t"], "total": [3.0]}


def test_inputs_that_are_missing_or_unknown_are_the_callers_mistake() -> None:
    def predict(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        raise NotImplementedError

    codec = SignatureCodec(predict)
    with pytest.raises(InferenceError, match=r"^Input 'y' is missing. Expected are 'x', 'y'.$") as missing:
        codec.decode_request(request_of(X))
    assert missing.value.status_code == 400
    with pytest.raises(InputsNotFound, match=r"^Input 't' was not found. Available inputs are 'x', 'y'.$") as unknown:
        codec.decode_request(request_of(X, T))
    assert unknown.value.status_code == 400


def test_an_input_by_the_name_of_a_frame_is_refused() -> None:
    def predict(frame: pd.DataFrame) -> None:
        raise NotImplementedError

    with pytest.raises(CodecNotFound, match="with name 'frame'"):
        SignatureCodec(predict).decode_request(request_of(NumpyCodec.encode_input("frame", ARRAY)))


def test_hints_without_a_codec_are_refused_when_the_class_is_made() -> None:
    with pytest.raises(CodecNotFound, match="Codec not found for input field with name 'x' and type <class 'complex'>"):

        @decode_args
        async def predict(self: MLModel, x: complex) -> None:
            raise NotImplementedError


@pytest.mark.parametrize(
    ("hint", "returned"),
    [(np.ndarray, "text"), (np.ndarray, (ARRAY, ARRAY)), (Tuple[np.ndarray, list[str]], (ARRAY, 3))],  # noqa: UP006
)
def test_results_that_were_not_announced(hint: Any, returned: Any) -> None:
    def predict() -> Any:
        raise NotImplementedError

    predict.__annotations__ = {"return": hint}
    with pytest.raises(OutputNotFound, match="Unexpected output value at position"):
        SignatureCodec(predict).encode_response("m", returned)


def test_without_an_annotation_the_value_decides() -> None:
    def predict(x: np.ndarray):
        raise NotImplementedError

    outputs = SignatureCodec(predict).encode_response("m", (ARRAY, ["a"])).outputs
    assert [output.datatype for output in outputs] == ["FP64", "BYTES"]
    assert SignatureCodec(predict).encode_response("m", None).outputs == []


@pytest.mark.parametrize(
    ("given", "expected"),
    [(None, []), ((1, 2), [1, 2]), (Tuple[int, str], [int, str]), (tuple[int, str], [int, str]), (int, [int])],  # noqa: UP006
)
def test_lists_of_hints_and_values(given: Any, expected: list[Any]) -> None:
    assert _as_list(given) == expected
