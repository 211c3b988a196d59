"""The module that models import: tensors, errors and the small helpers, as Triton's has them."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oipserver_python import backend as pb_utils

from oipserver import Tensor as ServerTensor

NUMBERS = {
    np.bool_: 1,
    np.uint8: 2,
    np.uint16: 3,
    np.uint32: 4,
    np.uint64: 5,
    np.int8: 6,
    np.int16: 7,
    np.int32: 8,
    np.int64: 9,
    np.float16: 10,
    np.float32: 11,
    np.float64: 12,
    np.object_: 13,
}


@pytest.mark.parametrize(("kind", "number"), NUMBERS.items())
def test_numbers_of_datatypes(kind: Any, number: int) -> None:
    assert pb_utils.numpy_to_triton_type(kind) == number
    assert pb_utils.triton_to_numpy_type(number) is kind
    array = np.zeros((2, 3), kind)
    assert pb_utils.Tensor("x", array).triton_dtype() == number


def test_names_of_datatypes() -> None:
    assert pb_utils.triton_string_to_numpy("TYPE_STRING") is np.object_
    assert pb_utils.triton_string_to_numpy("TYPE_FP32") is np.float32
    assert pb_utils.numpy_to_triton_type(np.bytes_) == 13
    assert pb_utils.triton_to_numpy_type(99) is None


class TestTensor:
    def test_strings_become_bytes(self) -> None:
        for array in (np.array(["ä", "b"]), np.array([b"\xc3\xa4", b"b"]), np.array(["ä", b"b"], object)):
            assert pb_utils.Tensor("x", array).as_numpy().tolist() == ["ä".encode(), b"b"]
        assert pb_utils.Tensor("x", np.array([1, None], object)).as_numpy().tolist() == [b"1", b"None"]

    def test_no_tensor(self) -> None:
        for wrong in ([1, 2], "abc", None):
            with pytest.raises(pb_utils.TritonModelException, match="numpy array"):
                pb_utils.Tensor("x", wrong)
        with pytest.raises(pb_utils.TritonModelException, match="complex128"):
            pb_utils.Tensor("x", np.zeros(1, np.complex128))

    def test_what_came_may_be_changed_and_what_was_sent_stays(self) -> None:
        raw = np.arange(3, dtype=np.int32).tobytes()
        tensor = pb_utils.Tensor.of(ServerTensor("x", "INT32", (3,), raw=raw))
        tensor.as_numpy()[0] = 9
        assert tensor.as_numpy().tolist() == [9, 1, 2]
        assert np.frombuffer(raw, np.int32).tolist() == [0, 1, 2]

    def test_bfloat16_is_not_numpys(self) -> None:
        tensor = pb_utils.Tensor.of(ServerTensor("x", "BF16", (1,), array=np.zeros(1, np.uint16)))
        assert tensor.triton_dtype() == 14
        with pytest.raises(pb_utils.TritonModelException, match="BF16"):
            tensor.as_numpy()

    def test_dlpack_both_ways(self) -> None:
        array = np.arange(6, dtype=np.float32).reshape(2, 3)
        tensor = pb_utils.Tensor("x", array)
        assert np.from_dlpack(tensor).tolist() == array.tolist()
        again = pb_utils.Tensor.from_dlpack("y", tensor)
        assert (again.name(), again.as_numpy().tolist()) == ("y", array.tolist())
        with pytest.raises(pb_utils.TritonModelException, match="strings"):
            pb_utils.Tensor("x", np.array([b"a"])).to_dlpack()


@given(st.lists(st.binary(max_size=20), max_size=10))
def test_strings_packed_and_unpacked(strings: list[bytes]) -> None:
    array = np.empty(len(strings), object)
    array[:] = strings
    packed = pb_utils.serialize_byte_tensor(array)
    assert pb_utils.deserialize_bytes_tensor(packed or b"").tolist() == strings
    assert pb_utils.serialize_byte_tensor(np.zeros(1)) is None


def test_errors() -> None:
    error = pb_utils.TritonError("no")
    assert (error.message(), error.code(), str(error)) == ("no", pb_utils.TritonError.INTERNAL, "no")
    assert pb_utils.TritonError("no", pb_utils.TritonError.CANCELLED).code() == 7
    with pytest.raises(ValueError, match="no code"):
        pb_utils.TritonError("no", 99)
    response = pb_utils.InferenceResponse(error=error)
    assert response.has_error()
    assert response.error() is error
    with pytest.raises(TypeError, match="Tensor of this module"):
        pb_utils.InferenceResponse([np.zeros(1)])


def test_helpers() -> None:
    tensor = pb_utils.Tensor("x", np.zeros(1))
    request = pb_utils.InferenceRequest(model_name="m", inputs=[tensor], requested_output_names=["y"])
    assert pb_utils.get_input_tensor_by_name(request, "x") is tensor
    assert pb_utils.get_input_tensor_by_name(request, "y") is None
    response = pb_utils.InferenceResponse([tensor], parameters={"a": 1})
    assert pb_utils.get_output_tensor_by_name(response, "x") is tensor
    assert json.loads(response.parameters()) == {"a": 1}
    config = {"input": [{"name": "x"}], "output": [], "model_transaction_policy": {"decoupled": True}}
    assert pb_utils.get_input_config_by_name(config, "x") == {"name": "x"}
    assert pb_utils.get_output_config_by_name(config, "x") is None
    assert pb_utils.using_decoupled_model_transaction_policy(config)
    assert not pb_utils.using_decoupled_model_transaction_policy({})


def test_a_request_tells_what_it_was_made_of() -> None:
    request = pb_utils.InferenceRequest(
        request_id="r",
        correlation_id=5,
        inputs=[],
        requested_output_names=["y"],
        model_name="m",
        model_version=2,
        flags=pb_utils.TRITONSERVER_REQUEST_FLAG_SEQUENCE_START,
        timeout=10,
        preferred_memory=pb_utils.PreferredMemory(pb_utils.TRITONSERVER_MEMORY_CPU, 0),
        parameters={"a": True},
    )
    told = (request.request_id(), request.correlation_id(), request.flags(), request.timeout())
    assert told == ("r", 5, 1, 10)
    assert json.loads(request.parameters()) == {"a": True}
    assert request.requested_output_names() == ["y"]
    assert request.served.model_version == "2"
    with pytest.raises(pb_utils.TritonModelException, match="response sender"):
        request.get_response_sender()
    of_bytes = pb_utils.InferenceRequest(model_name=b"m", inputs=[], requested_output_names=[b"y"])
    assert (of_bytes.model_name(), of_bytes.requested_output_names()) == ("m", ["y"])
    with pytest.raises(pb_utils.TritonModelException, match="model_name"):
        pb_utils.InferenceRequest(inputs=[], requested_output_names=[])
    with pytest.raises(pb_utils.TritonModelException, match="must be a bool, int, float or str"):
        pb_utils.InferenceRequest(model_name="m", parameters={"a": [1]})


class TestMetrics:
    def test_values(self) -> None:
        family = pb_utils.MetricFamily("t3_values", "Values.", pb_utils.MetricFamily.GAUGE)
        metric = family.Metric(labels={"a": "b"})
        metric.set(3)
        metric.increment(-1)
        assert metric.value() == 2
        with pytest.raises(pb_utils.TritonModelException, match="does not do 'observe'"):
            metric.observe(1)

    def test_counters_only_grow(self) -> None:
        metric = pb_utils.MetricFamily("t3_counts", "Counts.", pb_utils.MetricFamily.COUNTER).Metric()
        with pytest.raises(pb_utils.TritonModelException, match="only grows"):
            metric.increment(-1)
        assert metric.value() == 0

    def test_what_cannot_be(self) -> None:
        with pytest.raises(pb_utils.TritonModelException, match="no metric name"):
            pb_utils.MetricFamily("a b", "", pb_utils.MetricFamily.COUNTER)
        histogram = pb_utils.MetricFamily("t3_sizes", "Sizes.", pb_utils.MetricFamily.HISTOGRAM)
        histogram.Metric(buckets=[1, 2]).observe(1)
        with pytest.raises(pb_utils.TritonModelException, match="ascending"):
            histogram.Metric(buckets=[2, 1])
        with pytest.raises(pb_utils.TritonModelException, match="a histogram has buckets"):
            histogram.Metric()
