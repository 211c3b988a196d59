"""The content types of pipelines, there and back."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from oipserver_huggingface.codecs import (
    HuggingfaceConversationCodec,
    HuggingfaceListJSONCodec,
    HuggingfaceRequestCodec,
    HuggingfaceSingleJSONCodec,
    NumpyListCodec,
    PILImageCodec,
    RawCodec,
    decode_value,
)

from oipserver.codecs.base import find_input_codec, find_request_codec, find_request_codec_by_payload
from oipserver.codecs.errors import CodecError
from oipserver.types import RequestInput

TALK = [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "hi"}]


def sent(tensor: RequestInput) -> RequestInput:
    """``tensor`` after a journey over REST."""
    plain = json.loads(
        json.dumps(
            tensor.model_dump(exclude_none=True), default=lambda odd: odd.decode() if isinstance(odd, bytes) else odd
        )
    )
    return RequestInput(**plain)


@pytest.mark.parametrize(
    ("codec", "value", "shape"),
    [
        (HuggingfaceSingleJSONCodec, {"a": [1, 2.5], "b": None}, [1, 1]),
        (HuggingfaceListJSONCodec, [{"label": "pos", "score": 0.5}, {"label": "neg"}], [2, 1]),
        (HuggingfaceConversationCodec, [TALK, TALK[:1]], [2, 1]),
        (RawCodec, 3, [1]),
        (RawCodec, 0.5, [1]),
        (RawCodec, True, [1]),
        (RawCodec, "text", [1]),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_there_and_back(codec: Any, value: Any, shape: list[int]) -> None:
    for tensor in (codec.encode_input("x", value), sent(codec.encode_input("x", value, use_bytes=False))):
        assert tensor.shape == shape
        assert tensor.parameters is not None
        assert tensor.parameters.content_type == codec.ContentType
        assert codec.decode_input(tensor) == value
    output = codec.encode_output("x", value)
    assert codec.decode_output(output) == value
    assert find_input_codec(codec.ContentType) is codec


def test_an_element_of_a_json_list_looks_as_mlservers_does() -> None:
    output = HuggingfaceListJSONCodec.encode_output(
        "output", [{"label": "pos", "score": np.float32(0.5)}], use_bytes=False
    )
    assert output.model_dump(exclude_none=True) == {
        "name": "output",
        "shape": [1, 1],
        "datatype": "BYTES",
        "parameters": {"content_type": "hg_jsonlist"},
        "data": ['{"label": "pos", "score": 0.5}'],
    }


def test_arrays_side_by_side() -> None:
    arrays = [np.arange(6, dtype=np.float32).reshape(2, 3), np.ones((2, 3), np.float32)]
    tensor = NumpyListCodec.encode_input("x", arrays)
    assert (tensor.shape, tensor.datatype) == ([2, 2, 3], "FP32")
    for got, wanted in zip(NumpyListCodec.decode_input(tensor), arrays, strict=True):
        np.testing.assert_array_equal(got, wanted)
    assert not NumpyListCodec.can_encode([np.zeros(2), np.zeros(3)])


def test_the_former_class_of_conversations() -> None:
    former = {
        "uuid": "1",
        "past_user_inputs": ["hello"],
        "generated_responses": ["hi"],
        "new_user_input": "and now?",
    }
    tensor = RequestInput(name="x", shape=[1], datatype="BYTES", data=[json.dumps(former)])
    expected = [[*TALK, {"role": "user", "content": "and now?"}]]
    assert HuggingfaceConversationCodec.decode_input(tensor) == expected


def test_a_request_is_the_arguments_of_a_pipeline() -> None:
    arguments = {"array_inputs": ["a", "b"], "top_k": 3, "options": {"x": 1}, "talks": [TALK]}
    request = HuggingfaceRequestCodec.encode_request(arguments)
    assert request.parameters is not None
    assert request.parameters.content_type == "hf"
    assert HuggingfaceRequestCodec.decode_request(request) == arguments
    response = HuggingfaceRequestCodec.encode_response("m", {"label": "pos"}, "1")
    assert HuggingfaceRequestCodec.decode_response(response) == {"output": [{"label": "pos"}]}
    with pytest.raises(CodecError, match="argument 'odd' is a object"):
        HuggingfaceRequestCodec.encode_request({"odd": object()})


def test_the_request_codec_takes_nobody_elses_lists() -> None:
    assert find_request_codec("hf") is HuggingfaceRequestCodec
    assert find_request_codec_by_payload([1, 2]) is None
    assert find_request_codec_by_payload({"a": 1}) is None


@pytest.mark.parametrize(
    ("datatype", "shape", "data", "value"),
    [
        ("BYTES", [2], ["a", "b"], ["a", "b"]),
        ("INT64", [1], [20], 20),
        ("FP32", [2], [0.5, 1.0], [0.5, 1.0]),
        ("BOOL", [1], [False], False),
    ],
)
def test_values_without_a_content_type(datatype: str, shape: list[int], data: list[Any], value: Any) -> None:
    assert decode_value(RequestInput(name="x", shape=shape, datatype=datatype, data=data)) == value


@pytest.mark.parametrize(
    ("content_type", "data", "reason"),
    [
        ("hg_json", ["{"], "holds an element that is not JSON"),
        ("hg_json", ["[" * 100_000], "holds an element that is not JSON"),
        ("hg_json", ["{}", "{}"], "must hold one JSON text, it holds 2"),
        ("hg_conversation", ['["hello"]'], "no list of messages"),
        ("hg_conversation", ["["], "not JSON"),
        ("raw", [1, 2], "must hold one element, it holds 2"),
        ("hg_jsonlist", [1], "must hold texts"),
    ],
)
def test_what_cannot_be_decoded(content_type: str, data: list[Any], reason: str) -> None:
    tensor = RequestInput(
        name="x", shape=[len(data)], datatype="BYTES", data=data, parameters={"content_type": content_type}
    )
    with pytest.raises(CodecError, match=reason):
        decode_value(tensor)


def test_images() -> None:
    pillow: Any = pytest.importorskip("PIL.Image", reason="Pillow is not installed: pip install pillow")
    picture = pillow.new("RGB", (3, 2), "blue")
    tensor = PILImageCodec.encode_input("x", [picture])
    (got,) = PILImageCodec.decode_input(tensor)
    assert (got.size, got.tobytes()) == (picture.size, picture.tobytes())
    assert PILImageCodec.can_encode([picture])
    inside = HuggingfaceSingleJSONCodec.encode_input("x", {"image": picture, "question": "what?"})
    decoded = HuggingfaceSingleJSONCodec.decode_input(inside)
    assert decoded["question"] == "what?"
    assert decoded["image"].tobytes() == picture.tobytes()
    assert not PILImageCodec.can_encode(["no image"])
