"""Bodies of MLflow's scoring protocol: whatever comes is read, or refused in its words."""

from __future__ import annotations

import json
import math
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oipserver.protocol import InferResponse, ModelMetadata, TensorMetadata
from oipserver.protocol.invocations_form import (
    CSV,
    ENGINE,
    JSON,
    NATIVE,
    TABLE,
    is_v2,
    packed_reply,
    read_invocations,
    unpacked_reply,
    write_invocations,
)
from oipserver.protocol.invocations_table import InvocationsError
from oipserver.tensor import Tensor


def columns(*datatypes: str, **parameters: Any) -> ModelMetadata:
    """A model with a column of each datatype, called c0, c1, ..."""
    inputs = tuple(TensorMetadata(f"c{index}", datatype, (-1,)) for index, datatype in enumerate(datatypes))
    return ModelMetadata("m", inputs=inputs, parameters=parameters)


MODELS = [
    ModelMetadata("m"),
    columns("FP64"),
    columns("FP64", "INT64", "BOOL", "BYTES"),
    columns("FP32", "FP32", **{ENGINE: NATIVE}),
    ModelMetadata("m", inputs=(TensorMetadata("x", "FP32", (-1, 2)),)),
    ModelMetadata("m", inputs=(TensorMetadata("x", "BYTES", (-1,), {"content_type": "pd_json"}),)),
]
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["c0", "c1", "x", "y"]), inner),
    max_leaves=8,
)
forms = st.sampled_from(["dataframe_split", "dataframe_records", "instances", "inputs", "params", "other"])
splits = st.fixed_dictionaries({"data": values}, optional={"columns": values, "index": values})
documents = st.dictionaries(forms, values | splits, max_size=3)


@given(document=documents | values, metadata=st.sampled_from(MODELS))
@settings(max_examples=400, deadline=None)
def test_any_document_is_read_or_refused(document: Any, metadata: ModelMetadata) -> None:
    body = json.dumps(document).encode()
    is_v2(body)
    try:
        invocation = read_invocations(body, JSON, metadata)
    except InvocationsError:
        return
    for tensor in invocation.request.inputs:
        assert tensor.array.shape == tensor.shape
        assert tensor.nbytes >= 0


@given(body=st.binary(max_size=40) | st.text(max_size=40).map(str.encode), metadata=st.sampled_from(MODELS))
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_read_or_refused(body: bytes, metadata: ModelMetadata) -> None:
    for content_type in (JSON, CSV):
        is_v2(body)
        with suppress(InvocationsError):
            read_invocations(body, content_type, metadata)


def read(document: Any, metadata: ModelMetadata) -> dict[str, Tensor]:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    content_type = CSV if isinstance(document, bytes) else JSON
    return {tensor.name: tensor for tensor in read_invocations(body, content_type, metadata).request.inputs}


def test_columns_have_the_models_datatypes() -> None:
    tensors = read(b"c3,c0,c1,c2\nx,1,2,true\n1,2.5,3,False\n", columns("FP64", "INT64", "BOOL", "BYTES"))
    assert [tensors[f"c{index}"].array.tolist() for index in range(4)] == [
        [1.0, 2.5],
        [2, 3],
        [True, False],
        [b"x", b"1"],
    ]
    with pytest.raises(InvocationsError, match="column c1 to type 'int64'"):
        read({"inputs": {"c0": [1], "c1": [1.5], "c2": [True], "c3": ["x"]}}, columns("FP64", "INT64", "BOOL", "BYTES"))


def test_a_whole_table_of_a_native_model_is_one_tensor() -> None:
    metadata = columns("FP32", "FP32", **{ENGINE: NATIVE})
    table = {"columns": ["c0", "c1"], "data": [[1, 2], [3, 4]]}
    (tensor,) = read({"dataframe_split": table}, metadata).values()
    assert (tensor.name, tensor.datatype, tensor.array.tolist()) == (TABLE, "FP32", [[1, 2], [3, 4]])
    turned = read({"dataframe_split": table | {"columns": ["c1", "c0"]}}, metadata)
    assert turned["c0"].array.tolist() == [2, 4]
    integers = columns("INT32", "INT32", **{ENGINE: NATIVE})
    assert read({"dataframe_split": table}, integers)["c1"].array.tolist() == [2, 4]


def test_without_a_signature_columns_are_what_they_look_like() -> None:
    tensors = read({"dataframe_records": [{"a": 1, "b": "x", "c": 1.5, "d": True}]}, ModelMetadata("m"))
    assert {name: tensor.datatype for name, tensor in tensors.items()} == {
        "a": "INT64",
        "b": "BYTES",
        "c": "FP64",
        "d": "BOOL",
    }
    (whole,) = read({"instances": [[1.0, 2.0]]}, ModelMetadata("m")).values()
    assert (whole.name, whole.shape) == ("input-0", (1, 2))


def test_answers() -> None:
    invocation = read_invocations(b'{"inputs": [1.0]}', JSON, columns("FP64"))
    rows = read_invocations(b'{"dataframe_records": [{"c0": 1}]}', JSON, columns("FP64"))
    outputs = [
        Tensor.from_array("y", np.array([1.5, math.nan])),
        Tensor.from_array("z", np.array([b'{"a": 1}', b"2"], object), "BYTES", {"content_type": "pd_json"}),
    ]
    response = InferResponse("m", outputs)
    assert write_invocations(response, invocation) == b'{"predictions": {"y": [1.5, NaN], "z": [{"a": 1}, 2]}}'
    assert write_invocations(response, rows).startswith(b'{"predictions": [{"y": 1.5, "z": {"a": 1}}, {"y": NaN')
    reply = np.array([packed_reply(400, "text/plain; charset=utf-8", "a\nb")], object)
    told = unpacked_reply(InferResponse("m", [Tensor.from_array("r", reply, "BYTES")]))
    assert told == (400, b"text/plain; charset=utf-8", b"a\nb")


@pytest.mark.parametrize("columns", [False, "a", {"a": 1}, 3])
def test_columns_that_are_no_list_are_refused(columns: Any) -> None:
    body = json.dumps({"dataframe_split": {"columns": columns, "data": []}}).encode()
    with pytest.raises(InvocationsError, match="'columns'"):
        read_invocations(body, JSON, MODELS[0])
