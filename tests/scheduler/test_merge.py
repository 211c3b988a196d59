"""Which requests are compatible, and how they are put together and taken apart."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oipserver.errors import InternalError, InvalidArgumentError
from oipserver.protocol import InferRequest, InferResponse, RequestedOutput, Timings
from oipserver.scheduler.compatible import batch_key, batch_rows
from oipserver.scheduler.merge import merge, pieces, reunite, split
from oipserver.tensor import DATATYPES, Tensor, pack_bytes


def tensor(name: str = "x", shape: tuple[int, ...] = (1, 2), datatype: str = "FP32", **more: Any) -> Tensor:
    count = int(np.prod(shape))
    if datatype == "BYTES":
        array = np.array([f"é{index}".encode() for index in range(count)], object).reshape(shape)
    else:
        array = np.arange(count).astype(DATATYPES[datatype].dtype).reshape(shape)
    return Tensor(name, datatype, shape, array, **more)


def key(*inputs: Tensor, **more: Any) -> object:
    return batch_key(InferRequest("m", list(inputs), **more), headers=True)


# -- compatible --------------------------------------------------------------------------------------------------------


def test_requests_that_differ_in_rows_order_and_transport_alone_are_compatible() -> None:
    one = key(
        tensor("a", (1, 2)),
        tensor("b", (1,)),
        id="1",
        deadline=5,
        parameters={"t": 1, "timeout": 100, "priority": 2, "binary_data_output": True},
        headers={"content-length": "10", "x-forwarded-for": "c", "Ce-Id": "7", "x-tenant": "a"},
        outputs=[RequestedOutput("y", {"binary_data": True})],
    )
    other = key(
        tensor("b", (4,)),
        tensor("a", (4, 2), parameters={"binary_data_size": 32}),
        parameters={"t": 1},
        headers={"x-tenant": "a", "traceparent": "d"},
        outputs=[RequestedOutput("y")],
    )
    assert one is not None
    assert one == other
    assert hash(one) == hash(other)


@pytest.mark.parametrize(
    "other",
    [
        key(tensor("z"), parameters={"t": 1}),
        key(tensor(shape=(1, 3)), parameters={"t": 1}),
        key(tensor(shape=(1, 2, 1)), parameters={"t": 1}),
        key(tensor(datatype="FP64"), parameters={"t": 1}),
        key(tensor(), tensor("z"), parameters={"t": 1}),
        key(tensor(text=True), parameters={"t": 1}),
        key(tensor(parameters={"content_type": "np"}), parameters={"t": 1}),
        key(tensor(), parameters={"t": True}),
        key(tensor(), parameters={"t": 1.0}),
        key(tensor(), parameters={"t": 1, "u": 1}),
        key(tensor(), parameters={"t": 1}, outputs=[RequestedOutput("y")]),
        key(tensor(), parameters={"t": 1}, outputs=[RequestedOutput("y", {"content_type": "np"})]),
        key(tensor(), parameters={"t": 1}, headers={"authorization": "a"}),
        key(tensor(), parameters={"t": 1}, headers={"authorization": "b"}),
    ],
)
def test_whatever_a_model_could_tell_apart_keeps_requests_apart(other: object) -> None:
    assert other is not None
    assert other != key(tensor(), parameters={"t": 1})


def test_models_that_see_no_headers_do_not_care_for_them() -> None:
    requests = [InferRequest("m", [tensor()], headers=headers) for headers in (None, {"authorization": "a"})]
    assert len({batch_key(request, headers=False) for request in requests}) == 1
    assert len({batch_key(request, headers=True) for request in requests}) == 2


@pytest.mark.parametrize("where", ["request", "input", "output"])
def test_parameters_that_cannot_be_compared_by_hash_keep_a_request_alone(where: str) -> None:
    odd: Any = {"stop": ["a"]}
    request = InferRequest(
        "m",
        [tensor(parameters=odd if where == "input" else None)],
        parameters=odd if where == "request" else {},
        outputs=[RequestedOutput("y", odd if where == "output" else None)],
    )
    assert batch_key(request, headers=True) is None


@pytest.mark.parametrize(
    ("shapes", "rows"),
    [
        ([(3, 2)], 3),
        ([(3, 2), (3,)], 3),
        ([(3, 2), (2, 2)], 0),
        ([()], 0),
        ([(3,), ()], 0),
        ([(0, 2)], 0),
        ([], 0),
    ],
)
def test_rows_are_what_all_inputs_agree_on(shapes: list[tuple[int, ...]], rows: int) -> None:
    assert batch_rows(InferRequest("m", [tensor(f"x{i}", shape) for i, shape in enumerate(shapes)])) == rows


# -- merge -------------------------------------------------------------------------------------------------------------


def test_a_merged_request_has_what_its_members_agree_on_and_nothing_of_one_of_them() -> None:
    members = [
        InferRequest(
            "m",
            [tensor(parameters={"content_type": "np", "shared_memory_offset": number})],
            "7",
            id=f"id-{number}",
            outputs=[RequestedOutput("y", {"classification": number, "content_type": "pd"})],
            parameters={"t": 1, "timeout": number},
            headers={"x-tenant": "a", "x-request-id": str(number)},
            deadline=number,
        )
        for number in (1, 2)
    ]
    merged = merge(members)
    assert (merged.model_name, merged.model_version, merged.id, merged.deadline) == ("m", "7", "", 2)
    assert merged.parameters == {"t": 1}
    assert merged.headers == {"x-tenant": "a"}
    assert merged.inputs[0].parameters == {"content_type": "np"}
    assert merged.outputs == [RequestedOutput("y", {"content_type": "pd"})]
    assert members[0].parameters == {"t": 1, "timeout": 1}


def test_inputs_are_matched_by_name() -> None:
    first = InferRequest("m", [tensor("a", (1,)), tensor("b", (1, 2))])
    second = InferRequest("m", [tensor("b", (2, 2)), tensor("a", (2,))])
    merged = merge([first, second])
    assert [(each.name, each.shape) for each in merged.inputs] == [("a", (3,)), ("b", (3, 2))]
    assert merged.inputs[1].array.tolist() == [[0, 1], [0, 1], [2, 3]]


def as_raw(given: Tensor) -> Tensor:
    raw = pack_bytes(given.array) if given.datatype == "BYTES" else given.array.tobytes()
    return Tensor(given.name, given.datatype, given.shape, raw=raw, text=given.text)


@given(
    datatype=st.sampled_from(sorted(DATATYPES)),
    counts=st.lists(st.integers(1, 4), min_size=2, max_size=5),
    inner=st.lists(st.integers(0, 3), max_size=2),
    raw=st.lists(st.booleans(), min_size=5, max_size=5),
    output_raw=st.booleans(),
)
def test_what_is_merged_and_split_comes_back(
    datatype: str, counts: list[int], inner: list[int], raw: list[bool], output_raw: bool
) -> None:
    given_tensors = [tensor("x", (count, *inner), datatype) for count in counts]
    members = [
        InferRequest("m", [as_raw(each) if is_raw else each]) for each, is_raw in zip(given_tensors, raw, strict=False)
    ]
    merged = merge(members).inputs[0]
    assert merged.shape == (sum(counts), *inner)
    output = Tensor("y", datatype, merged.shape, merged.array)
    response = InferResponse("m", [as_raw(output) if output_raw else output], timings=Timings())
    answers = split(response, counts, "m")
    for each, answer in zip(given_tensors, answers, strict=True):
        (part,) = answer.outputs
        assert (part.name, part.datatype, part.shape) == ("y", datatype, each.shape)
        assert part.array.tolist() == each.array.tolist()
        assert bytes(part.raw) == bytes(as_raw(each).raw)


def test_raw_tensors_are_joined_without_being_decoded() -> None:
    members = [InferRequest("m", [as_raw(tensor())]) for _ in range(3)]
    merged = merge(members).inputs[0]
    assert merged.has_raw
    assert not merged.has_array
    assert not any(member.inputs[0].has_array for member in members)


def test_text_stays_text() -> None:
    members = [InferRequest("m", [tensor(datatype="BYTES", text=True)]) for _ in range(2)]
    assert merge(members).inputs[0].text


def test_bytes_whose_lengths_lie_cannot_reach_into_another_members_rows() -> None:
    liar = InferRequest("m", [Tensor("x", "BYTES", (1,), raw=pack_bytes(np.array([b"a", b"b"], object)))])
    short = InferRequest("m", [Tensor("x", "BYTES", (3,), raw=pack_bytes(np.array([b"c", b"d"], object)))])
    with pytest.raises(InvalidArgumentError, match="'x'"):
        merge([liar, short])


def test_parts_of_an_answer_are_views() -> None:
    whole = tensor("y", (3, 2))
    answers = split(InferResponse("m", [whole], timings=Timings()), [1, 2], "m")
    assert all(np.shares_memory(answer.outputs[0].array, whole.array) for answer in answers)


# -- pieces ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("raw", [True, False])
def test_a_large_request_is_cut_and_its_answer_put_together(raw: bool) -> None:
    whole = tensor("x", (5, 2))
    request = InferRequest("m", [as_raw(whole) if raw else whole], id="i", parameters={"t": 1})
    parts = pieces(request, 5, 2)
    assert [part.inputs[0].shape for part in parts] == [(2, 2), (2, 2), (1, 2)]
    assert [part.parameters for part in parts] == [{"t": 1}] * 3
    answers = [
        InferResponse("m", part.inputs, timings=Timings(received=number, infer_start=number, infer_end=10 + number))
        for number, part in enumerate(parts)
    ]
    answer = reunite(answers, "m")
    assert answer.outputs[0].array.tolist() == whole.array.tolist()
    assert answer.timings == Timings(received=0, infer_start=0, infer_end=12)


def test_pieces_with_different_outputs_are_the_models_failure() -> None:
    answers = [InferResponse("m", [tensor(name)], timings=Timings()) for name in ("y", "z")]
    with pytest.raises(InternalError, match="'m' gave different outputs"):
        reunite(answers, "m")
