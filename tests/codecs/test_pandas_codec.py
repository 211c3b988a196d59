"""The pd codec: MLServer's wire forms, and every kind of column there and back."""

from __future__ import annotations

import subprocess
import sys
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oipserver.codecs import CodecError, PandasCodec
from oipserver.codecs.base import find_request_codec
from oipserver.codecs.utils import decode_inference_request
from oipserver.protocol import InferRequest
from oipserver.tensor import Tensor
from oipserver.types import InferenceRequest, InferenceResponse, Parameters, RequestInput, from_public, to_public
from tests.codecs.rest_json import rest_outputs, rest_request


def column_of(series: Any) -> dict[str, Any]:
    """A column as REST sends it, without its name."""
    (output,) = rest_outputs(PandasCodec.encode_outputs(pd.DataFrame({"c": series})))
    assert output.pop("name") == "c"
    return output


def there_and_back(frame: pd.DataFrame, binary: bool) -> pd.DataFrame:
    """``frame`` as a model gets it, sent as JSON text or as raw bytes."""
    outputs = PandasCodec.encode_outputs(frame)
    internal = from_public(InferenceResponse(model_name="m", outputs=outputs), InferRequest("m", []))
    tensors = [
        Tensor(each.name, each.datatype, each.shape, raw=bytes(each.raw), parameters=each.parameters, text=not binary)
        for each in internal.outputs
    ]
    received = to_public(InferRequest("m", tensors, parameters={"content_type": "pd"}))
    return decode_inference_request(received)


def test_a_frame_as_rest_sends_it() -> None:
    frame = pd.DataFrame({"First Name": ["Joanne", "Michael"], "Age": [34, 22]})
    assert rest_request(PandasCodec.encode_request(frame, use_bytes=False)) == {
        "parameters": {"content_type": "pd"},
        "inputs": [
            {
                "name": "First Name",
                "shape": [2, 1],
                "datatype": "BYTES",
                "parameters": {"content_type": "str"},
                "data": ["Joanne", "Michael"],
            },
            {"name": "Age", "shape": [2, 1], "datatype": "INT64", "data": [34, 22]},
        ],
    }
    response = PandasCodec.encode_response("m", frame, "1")
    assert (response.model_version, response.parameters) == ("1", Parameters(content_type="pd"))
    pd.testing.assert_frame_equal(PandasCodec.decode_response(response), frame)


@pytest.mark.parametrize(
    ("series", "expected"),
    [
        (np.array([1.5, np.nan], np.float32), {"datatype": "FP32", "data": [1.5, None]}),
        ([True, False], {"datatype": "BOOL", "data": [True, False]}),
        (
            [[1, 2], {"k": 1}],
            {"datatype": "BYTES", "parameters": {"content_type": "pd_json"}, "data": ["[1,2]", '{"k":1}']},
        ),
        (pd.array([1, 2], "Int64"), {"datatype": "INT64", "data": [1, 2]}),
        (pd.array([1, None], "Int32"), {"datatype": "FP64", "data": [1.0, None]}),
        (pd.array([1.5, None], "Float32"), {"datatype": "FP64", "data": [1.5, None]}),
        (pd.array([True, False], "boolean"), {"datatype": "BOOL", "data": [True, False]}),
        (
            pd.array([True, None], "boolean"),
            {"datatype": "BYTES", "parameters": {"content_type": "pd_json"}, "data": ["true", "null"]},
        ),
        (
            pd.array(["a", "b"], "string"),
            {"datatype": "BYTES", "parameters": {"content_type": "str"}, "data": ["a", "b"]},
        ),
        (
            pd.Series(["a", None], dtype=object),
            {"datatype": "BYTES", "parameters": {"content_type": "pd_json"}, "data": ['"a"', "null"]},
        ),
        (
            pd.Series(["a", None]),
            {"datatype": "BYTES", "parameters": {"content_type": "pd_json"}, "data": ['"a"', "null"]},
        ),
        (
            pd.Categorical(["a", "b"]),
            {"datatype": "BYTES", "parameters": {"content_type": "str"}, "data": ["a", "b"]},
        ),
        (pd.Categorical([3, 4]), {"datatype": "INT64", "data": [3, 4]}),
        (
            pd.to_datetime(["2022-01-11T11:00", None]),
            {"datatype": "BYTES", "parameters": {"content_type": "datetime"}, "data": ["2022-01-11T11:00:00", "NaT"]},
        ),
        (
            pd.Series([datetime(2022, 1, 11)], dtype=object),
            {"datatype": "BYTES", "parameters": {"content_type": "datetime"}, "data": ["2022-01-11T00:00:00"]},
        ),
    ],
)
def test_columns_as_rest_sends_them(series: Any, expected: dict[str, Any]) -> None:
    assert column_of(series) == {"shape": [len(series), 1], **expected}


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize(
    "series",
    [
        pd.Series([1, 2], dtype=np.int8),
        pd.Series([1.5, np.nan], dtype=np.float32),
        pd.Series([True, False]),
        pd.Series(["a", "é"]),
        pd.Series([[1, 2], {"k": [1.5, None]}], dtype=object),
        pd.Series(pd.to_datetime(["2022-01-11T11:00:00.123456", None])),
        pd.Series(pd.to_datetime(["2022-01-11T11:00"]).tz_localize("UTC")),
        pd.Series([], dtype=np.float64),
    ],
)
def test_columns_survive_every_wire(series: Any, binary: bool) -> None:
    frame = pd.DataFrame({"c": series})
    decoded = there_and_back(frame, binary)
    pd.testing.assert_frame_equal(decoded, frame, check_dtype=series.dtype.kind not in "M")
    assert decoded["c"].dtype.kind == series.dtype.kind


@given(
    st.integers(1, 4).flatmap(
        lambda rows: st.tuples(
            st.lists(st.floats(width=32), min_size=rows, max_size=rows),
            st.lists(st.text(alphabet=st.characters(exclude_categories=["Cs"])), min_size=rows, max_size=rows),
        )
    ),
    st.booleans(),
)
def test_frames_survive_every_wire(columns: tuple[list[float], list[str]], binary: bool) -> None:
    frame = pd.DataFrame({"n": columns[0], "t": columns[1]})
    pd.testing.assert_frame_equal(there_and_back(frame, binary), frame)


def test_stacked_content_types() -> None:
    request = InferenceRequest(
        parameters=Parameters(content_type="pd"),
        inputs=[
            RequestInput(
                name="t", shape=[2], datatype="BYTES", data=[b"a", b"b"], parameters=Parameters(content_type="str")
            ),
            RequestInput(name="n", shape=[2], datatype="INT32", data=[1, 2]),
            RequestInput(
                name="m", shape=[2, 2], datatype="FP32", data=[1, 2, 3, 4], parameters=Parameters(content_type="np")
            ),
            RequestInput(name="b", shape=[2, 1], datatype="BYTES", data=[b"x", b"y"]),
        ],
    )
    frame = decode_inference_request(request)
    assert frame["t"].tolist() == ["a", "b"]
    assert frame["n"].dtype == np.int32
    assert [row.tolist() for row in frame["m"]] == [[1.0, 2.0], [3.0, 4.0]]
    assert frame["b"].tolist() == [b"x", b"y"]


def test_a_single_cell_may_come_bare() -> None:
    request = InferenceRequest(inputs=[RequestInput(name="t", shape=[1], datatype="BYTES", data="a")])
    assert PandasCodec.decode_request(request)["t"].tolist() == ["a"]


def test_columns_of_different_lengths_do_not_lose_rows() -> None:
    request = InferenceRequest(
        inputs=[
            RequestInput(name="a", shape=[2], datatype="INT32", data=[1, 2]),
            RequestInput(name="b", shape=[1], datatype="INT32", data=[1]),
        ]
    )
    with pytest.raises(CodecError, match="same number of rows: 'a' has 2, 'b' has 1"):
        PandasCodec.decode_request(request)


@pytest.mark.parametrize(
    ("decoded", "datatype", "dtype"),
    [
        (np.array([1]), "INT32", "int32"),
        (np.array([1.5]), "FP32", "float32"),
        (np.array([1]), "FP64", "float64"),
        (np.array([np.nan]), "INT32", "float64"),  # no integer
    ],
)
def test_what_is_decoded_has_the_datatype_of_its_input(decoded: Any, datatype: str, dtype: str) -> None:
    parameters = Parameters(_decoded_payload=decoded)
    request = InferenceRequest(
        inputs=[RequestInput(name="c", datatype=datatype, shape=[1], data=[1], parameters=parameters)]
    )
    column = PandasCodec.decode_request(request)["c"]
    assert column.dtype == dtype
    np.testing.assert_array_equal(column, decoded)


def test_column_names_need_not_be_text() -> None:
    frame = pd.DataFrame([[1, 2]])
    assert [output.name for output in PandasCodec.encode_outputs(frame)] == ["0", "1"]


@pytest.mark.parametrize("series", [pd.to_timedelta(["1s"]), [1j], [object()]])
def test_columns_without_a_form_are_refused_by_name(series: Any) -> None:
    with pytest.raises(CodecError, match="column 'c'"):
        PandasCodec.encode_outputs(pd.DataFrame({"c": series}))


def test_it_is_found_by_payload_and_hint() -> None:
    assert find_request_codec("pd") is PandasCodec
    assert find_request_codec(payload=pd.DataFrame()) is PandasCodec
    assert find_request_codec(type_hint=pd.DataFrame) is PandasCodec
    assert not PandasCodec.can_encode([1])


def test_pandas_is_not_imported_until_it_is_needed() -> None:
    code = (
        "import sys; from oipserver.codecs import PandasCodec as codec\n"
        "from oipserver.codecs.base import find_request_codec as find\n"
        "assert find(type_hint=list) is None and not codec.can_encode({}) and codec.TypeHint is None\n"
        "assert 'pandas' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
