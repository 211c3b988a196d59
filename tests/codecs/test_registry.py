"""Finding codecs, choosing them by content type, and keeping what they decoded."""

from __future__ import annotations

from datetime import datetime
from typing import Any, List, Optional, Union  # noqa: UP035  # both spellings are what is tested

import numpy as np
import numpy.typing as npt
import pytest

from oipserver import codecs
from oipserver.codecs import (
    Base64Codec,
    DatetimeCodec,
    DecodedParameterName,
    InputCodec,
    NumpyCodec,
    NumpyRequestCodec,
    RequestCodec,
    StringCodec,
    StringRequestCodec,
    base,
    decode_inference_request,
    decode_request_input,
    encode_inference_response,
    encode_response_output,
    get_decoded,
    get_decoded_or_raw,
    has_decoded,
    register_input_codec,
    register_request_codec,
)
from oipserver.codecs.base import (
    find_input_codec,
    find_input_codec_by_payload,
    find_input_codec_by_type_hint,
    find_request_codec,
    find_request_codec_by_payload,
    find_request_codec_by_type_hint,
)
from oipserver.codecs.errors import CodecNotFound
from oipserver.codecs.hints import canonical, unwrap_optional
from oipserver.codecs.utils import SingleInputRequestCodec, inject_batch_dimension
from oipserver.settings import ModelSettings
from oipserver.types import InferenceRequest, MetadataTensor, Parameters, RequestInput, RequestOutput


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is gone after it."""
    for kind in ("_input_codecs", "_request_codecs"):
        monkeypatch.setattr(base._codec_registry, kind, dict(getattr(base._codec_registry, kind)))


def input_of(data: Any = (1, 2), datatype: str = "INT64", content_type: str | None = None) -> RequestInput:
    parameters = Parameters(content_type=content_type) if content_type else None
    return RequestInput(name="x", datatype=datatype, shape=[len(data)], data=list(data), parameters=parameters)


@pytest.mark.parametrize(
    ("content_type", "codec"),
    [("np", NumpyCodec), ("str", StringCodec), ("base64", Base64Codec), ("datetime", DatetimeCodec), ("nope", None)],
)
def test_by_content_type(content_type: str, codec: Any) -> None:
    assert find_input_codec(content_type) is codec
    assert find_input_codec(content_type=content_type) is codec


@pytest.mark.parametrize(
    ("payload", "codec"),
    [
        (np.zeros((2, 2)), NumpyCodec),
        (np.zeros(0), NumpyCodec),
        (["a"], StringCodec),
        ([], StringCodec),
        ([b"a"], Base64Codec),
        ([datetime(2022, 1, 1)], DatetimeCodec),
        (object(), None),
    ],
)
def test_by_payload(payload: Any, codec: Any) -> None:
    assert find_input_codec(payload=payload) is codec
    assert find_input_codec_by_payload(payload) is codec


@pytest.mark.parametrize(
    ("hint", "codec"),
    [
        (np.ndarray, NumpyCodec),
        (npt.NDArray[np.float32], NumpyCodec),
        (List[str], StringCodec),  # noqa: UP006
        (list[str], StringCodec),
        (List[bytes], Base64Codec),  # noqa: UP006
        (list[bytes], Base64Codec),
        (List[Union[str, datetime]], DatetimeCodec),  # noqa: UP006, UP007
        (list[datetime | str], DatetimeCodec),
        (list[datetime], DatetimeCodec),
        (list[int], None),
        (str, None),
    ],
)
def test_by_type_hint(hint: Any, codec: Any) -> None:
    assert find_input_codec(type_hint=hint) is codec
    assert find_input_codec_by_type_hint(hint) is codec


def test_request_codecs() -> None:
    assert find_request_codec("np") is NumpyRequestCodec
    assert find_request_codec(payload=np.zeros(1)) is NumpyRequestCodec
    assert find_request_codec(type_hint=list[str]) is StringRequestCodec
    assert find_request_codec_by_payload(["a"]) is StringRequestCodec
    assert find_request_codec_by_type_hint(List[str]) is StringRequestCodec  # noqa: UP006
    assert (find_request_codec(), find_input_codec()) == (None, None)


def test_hints_in_one_form() -> None:
    assert canonical(List[Optional[str]]) == canonical(list[str | None])  # noqa: UP006, UP045
    assert canonical(list[str]) != canonical(list[bytes])
    assert unwrap_optional(Optional[np.ndarray]) == (np.ndarray, True)  # noqa: UP045
    assert unwrap_optional(str | bytes | None) == (str | bytes, True)
    assert unwrap_optional(str | bytes) == (str | bytes, False)


@pytest.mark.usefixtures("registry")
def test_registering() -> None:
    @register_input_codec
    class Doubled(InputCodec):
        ContentType = "doubled"
        TypeHint = complex

        @classmethod
        def decode_input(cls, request_input: RequestInput) -> list[int]:
            return [2 * element for element in request_input.data]

    @register_request_codec
    class DoubledRequest(SingleInputRequestCodec):
        InputCodec = Doubled
        ContentType = "doubled"

    assert decode_request_input(input_of(content_type="doubled")) == [2, 4]
    assert find_input_codec(type_hint=complex) is Doubled
    request = InferenceRequest(inputs=[input_of()], parameters=Parameters(content_type="doubled"))
    assert decode_inference_request(request) == [2, 4]
    assert get_decoded(request) == get_decoded(request.inputs[0]) == [2, 4]


@pytest.mark.parametrize("kind", [InputCodec, RequestCodec, SingleInputRequestCodec])
def test_a_codec_says_what_it_does_not_do(kind: Any) -> None:
    assert kind.can_encode("a") is False
    methods = [name for name in dir(kind) if name.startswith("encode_")]
    for name in methods:
        with pytest.raises(NotImplementedError):
            getattr(kind, name)("a", "b") if name != "encode_request" else kind.encode_request("a")


def test_a_registry_of_ones_own_knows_what_it_was_given() -> None:
    own = base._CodecRegistry()
    own.register_input_codec("s", StringCodec)
    own.register_request_codec("s", StringRequestCodec)
    assert (own.find_input_codec("s"), own.find_request_codec("s")) == (StringCodec, StringRequestCodec)
    assert own.find_input_codec("np") is None
    assert own.find_input_codec(payload=np.zeros(1)) is None
    assert own.find_request_codec(type_hint=List[str]) is StringRequestCodec  # noqa: UP006
    assert find_input_codec("s") is None


def test_former_names_say_so_once(caplog: pytest.LogCaptureFixture) -> None:
    class Codec(NumpyCodec):
        pass

    for _ in range(2):
        np.testing.assert_array_equal(Codec.decode(input_of()), [1, 2])
    assert [record.message for record in caplog.records] == [
        "DEPRECATED: Codec.decode is the former name of decode_input"
    ]


def test_former_names_still_work() -> None:
    output = StringCodec.encode("o", ["a"])
    assert StringCodec.decode(output) == ["a"]
    assert StringRequestCodec.encode("m", ["a"], "1").model_version == "1"
    assert StringRequestCodec.decode(InferenceRequest(inputs=[input_of(["a"], "BYTES")])) == ["a"]


def test_the_inputs_own_content_type_comes_first() -> None:
    metadata = {"x": MetadataTensor(name="x", datatype="INT64", shape=[-1], parameters=Parameters(content_type="np"))}
    assert decode_request_input(input_of()) is None
    assert decode_request_input(input_of(), metadata).tolist() == [1, 2]
    assert decode_request_input(input_of(["a"], "BYTES", "str"), metadata) == ["a"]
    assert decode_request_input(input_of(["a"], "BYTES", "unknown"), metadata) is None


def test_the_requests_own_content_type_comes_first() -> None:
    settings = ModelSettings(name="m", parameters={"content_type": "np"})
    assert decode_inference_request(InferenceRequest(inputs=[input_of()]), settings).tolist() == [1, 2]
    told = InferenceRequest(inputs=[input_of(["a"], "BYTES")], parameters=Parameters(content_type="str"))
    assert decode_inference_request(told, settings) == ["a"]
    unknown = InferenceRequest(inputs=[input_of()], parameters=Parameters(content_type="unknown"))
    assert decode_inference_request(unknown, settings) is unknown


def test_decoded_values_are_kept_beside_the_parameters() -> None:
    request_input = input_of(content_type="np")
    assert not has_decoded(request_input)
    assert get_decoded(request_input) is None
    assert get_decoded_or_raw(request_input) is request_input.data
    decoded = decode_request_input(request_input)
    assert has_decoded(request_input)
    assert get_decoded_or_raw(request_input) is decoded
    assert getattr(request_input.parameters, DecodedParameterName) is decoded
    assert "_decoded_payload" not in request_input.model_dump_json()
    request = InferenceRequest(inputs=[request_input])
    assert get_decoded_or_raw(request) is request


def test_encoding_by_content_type_metadata_and_payload() -> None:
    metadata = {
        "o": MetadataTensor(name="o", datatype="BYTES", shape=[-1], parameters=Parameters(content_type="base64"))
    }
    asked = RequestOutput(name="o", parameters=Parameters(content_type="str"))
    assert encode_response_output(["a"], asked, metadata).parameters.content_type == "str"
    assert encode_response_output([b"a"], RequestOutput(name="o"), metadata).parameters.content_type == "base64"
    assert encode_response_output(np.zeros(1), RequestOutput(name="o")).parameters.content_type == "np"
    assert encode_response_output(object(), RequestOutput(name="o")) is None
    settings = ModelSettings(name="m", parameters={"version": "3"})
    response = encode_inference_response(np.zeros(1), settings)
    assert (response.model_name, response.model_version) == ("m", "3")
    assert encode_inference_response(object(), settings) is None


def test_batch_dimension() -> None:
    assert [inject_batch_dimension(shape) for shape in ([], [3], [3, 2])] == [[1], [3, 1], [3, 2]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "o"}, "Codec not found for output field with name 'o'"),
        ({"payload_type": "T", "is_request": True}, "Codec not found for output response with type T"),
        (
            {"name": "x", "payload_type": "T", "is_input": True},
            "Codec not found for input field with name 'x' and type T",
        ),
    ],
)
def test_what_is_said_of_a_codec_not_found(arguments: Any, message: str) -> None:
    assert str(CodecNotFound(**arguments)) == message


def test_everything_listed_is_there() -> None:
    assert all(hasattr(codecs, name) for name in codecs.__all__)
