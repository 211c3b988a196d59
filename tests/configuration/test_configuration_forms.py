"""The forms of a configuration are one thing: text, message, JSON."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf import json_format, text_format
from hypothesis import given, settings
from hypothesis import strategies as st

from oipserver.configuration import read_json, read_text, to_json, to_message
from oipserver.errors import InvalidArgumentError
from oipserver.pb import model_config_pb2 as pb


def silent(message: str) -> None:
    raise AssertionError(f"nothing was to be warned of: {message}")


def test_scalars_are_always_there_and_messages_when_set() -> None:
    told = read_text(
        'name: "m" input { name: "x" data_type: TYPE_STRING dims: [ -1, 4 ] } dynamic_batching { }', silent
    )
    assert told["max_batch_size"] == 0
    assert (told["platform"], told["backend"], told["runtime"]) == ("", "", "")
    assert told["parameters"] == {}
    assert told["model_warmup"] == []
    assert told["input"] == [
        {
            "name": "x",
            "data_type": "TYPE_STRING",
            "format": "FORMAT_NONE",
            "dims": [-1, 4],
            "is_shape_tensor": False,
            "allow_ragged_batch": False,
            "optional": False,
            "is_non_linear_format_io": False,
        }
    ]
    assert told["dynamic_batching"]["max_queue_delay_microseconds"] == 0
    assert {"sequence_batching", "version_policy", "optimization", "response_cache"}.isdisjoint(told)


def test_a_choice_without_a_value_is_not_told() -> None:
    sample = 'model_warmup { name: "w" inputs { key: "x" value { data_type: TYPE_FP32 random_data: true } } }'
    (warmup,) = read_text(sample, silent)["model_warmup"]
    assert warmup["inputs"] == {"x": {"data_type": "TYPE_FP32", "dims": [], "random_data": True}}


def test_single_precision_is_told_as_it_was_written() -> None:
    text = "sequence_batching { direct { minimum_slot_utilization: 0.1 } }"
    assert read_text(text, silent)["sequence_batching"]["direct"]["minimum_slot_utilization"] == 0.1


def test_numbers_may_be_texts_in_json() -> None:
    told = read_json({"max_batch_size": "16", "input": [{"dims": ["-1", 3]}], "versionPolicy": {"all": {}}}, silent)
    assert told["max_batch_size"] == 16
    assert told["input"][0]["dims"] == [-1, 3]
    assert told["version_policy"] == {"all": {}}


def test_unknown_fields_are_named_with_their_lines() -> None:
    text = """
    name: "m"   # a comment with { braces
    future { a: "b" 'c' n: [1, 2] deep < y: -1 > [some.extension]: 3 }
    input [ { name: "x" dims: [-1, 2] kind_of: "}" ; }, { name: "y" other: FOO } ]
    parameters { key: "a" value: { string_value: "b" number_value: 1 } }
    max_batch_size: 8
    """
    warnings: list[str] = []
    told = read_text(text, warnings.append)
    assert [tensor["name"] for tensor in told["input"]] == ["x", "y"]
    assert (told["name"], told["max_batch_size"]) == ("m", 8)
    assert warnings == [
        "line 3: unknown field 'future' has no effect",
        "line 4: unknown field 'kind_of' has no effect",
        "line 4: unknown field 'other' has no effect",
        "line 5: unknown field 'number_value' has no effect",
    ]


def test_unknown_members_are_named_with_their_paths() -> None:
    warnings: list[str] = []
    told = read_json(
        {"name": "m", "futur": 1, "input": [{"nmae": 2}], "parameters": {"a": {"x": 1}}, "metric_tags": {"t": "v"}},
        warnings.append,
    )
    assert told["metric_tags"] == {"t": "v"}
    assert warnings == [
        "unknown field 'futur' has no effect",
        "unknown field 'input[0].nmae' has no effect",
        "unknown field 'parameters.a.x' has no effect",
    ]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("max_batch_size: many", "1:17 .*Couldn't parse integer: many"),
        ('name: "m', "String missing ending quote"),
        ("input { dims: 1", "Expected"),
        ("\n\ninput { data_type: TYPE_FLOAT }", "3:.*no value named TYPE_FLOAT"),
        ("max_batch_size: 1 max_batch_size: 2", "multiple"),
        ("dynamic_batching { } sequence_batching { }", "another member of oneof"),
        ("max_batch_size: 99999999999", "out of range"),
        (b"name: '\xff'", "UTF-8"),
        ("x { " * 5000, "nested too deeply|Expected"),
        ("x: [ " * 5000, r"1:7 .*\.\.\.$"),
    ],
)
def test_text_that_cannot_be_read(text: str | bytes, complaint: str) -> None:
    with pytest.raises(InvalidArgumentError, match=complaint) as caught:
        read_text(text, lambda _: None)
    assert len(caught.value.message) < 600
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    "value",
    [
        [],
        None,
        {"input": 3},
        {"input": [3]},
        {"max_batch_size": 1.5},
        {"max_batch_size": 2**40},
        {"name": 3},
        {"parameters": {"a": 3}},
        {"input": [{"data_type": "TYPE_X"}]},
        {"dynamic_batching": {}, "sequence_batching": {}},
    ],
    ids=str,
)
def test_json_that_cannot_be_read(value: Any) -> None:
    with pytest.raises(InvalidArgumentError):
        read_json(value, silent)


# -- any message ---------------------------------------------------------------------------------------------------

NAMES = st.text(st.characters(codec="utf-8"), max_size=8)
COUNTS = st.integers(0, 2**31 - 1)
DIMS = st.lists(st.integers(-1, 2**62), max_size=4)


@st.composite
def configurations(draw: st.DrawFn) -> pb.ModelConfig:
    config = pb.ModelConfig(
        name=draw(NAMES),
        max_batch_size=draw(COUNTS),
        metric_tags=draw(st.dictionaries(NAMES, NAMES, max_size=2)),
        parameters={
            key: pb.ModelParameter(string_value=value)
            for key, value in draw(st.dictionaries(NAMES, NAMES, max_size=2)).items()
        },
    )
    for _ in range(draw(st.integers(0, 3))):
        tensor = config.input.add(name=draw(NAMES), data_type=draw(st.integers(0, 14)), dims=draw(DIMS))
        tensor.optional = draw(st.booleans())
        if draw(st.booleans()):
            tensor.reshape.shape.extend(draw(DIMS))
    choice = draw(st.integers(0, 3))
    if choice == 1:
        batching = config.dynamic_batching
        batching.preferred_batch_size.extend(draw(st.lists(COUNTS, max_size=3)))
        batching.max_queue_delay_microseconds = draw(st.integers(0, 2**63))
        batching.priority_queue_policy[draw(st.integers(0, 2**60))].max_queue_size = draw(COUNTS)
    elif choice == 2:
        config.sequence_batching.direct.minimum_slot_utilization = draw(st.floats(0, 1, width=32))
        state = config.sequence_batching.state.add(input_name=draw(NAMES))
        state.initial_state.add(zero_data=draw(st.booleans()))
    elif choice == 3:
        config.ensemble_scheduling.step.add(model_name=draw(NAMES), model_version=-1, input_map={draw(NAMES): "x"})
    if draw(st.booleans()):
        config.version_policy.specific.versions.extend(draw(st.lists(st.integers(0, 2**62), max_size=2)))
    return config


@settings(max_examples=150, deadline=None)
@given(configurations())
def test_every_configuration_survives_every_form(config: pb.ModelConfig) -> None:
    plain = to_json(config)
    assert to_message(plain) == config
    assert read_text(text_format.MessageToString(config), silent) == plain
    assert read_text(str(config).encode(), silent) == plain
    assert read_json(json_format.MessageToDict(config, preserving_proto_field_name=True), silent) == plain
    assert read_json(json_format.MessageToDict(config), silent) == plain


@settings(max_examples=200, deadline=None)
@given(st.text("name:{}[]<>\",;-1 \n'#x", max_size=40))
def test_no_text_is_anything_but_read_or_refused(text: str) -> None:
    try:
        told = read_text(text, lambda _: None)
    except InvalidArgumentError:
        return
    assert read_json(told, silent) == told
