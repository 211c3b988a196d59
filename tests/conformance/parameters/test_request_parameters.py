"""Parameters of requests on both wires, given back by a model that was told them, in both layouts."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from tests.conformance.wires import Wire
from tests.support.server_process import ServerProcess

pytestmark = pytest.mark.process


def told(wire: Wire, **options: Any) -> Any:
    result = wire.infer("told", [wire.input("x", np.zeros(1, np.int32))], **options)
    return json.loads(result.as_numpy("told")[0])


def test_every_kind_of_value_reaches_the_model(wire: Wire) -> None:
    parameters = {"text": "é", "number": 7, "flag": True, "share": 0.25}
    assert told(wire, parameters=parameters) == parameters


def test_without_any_the_model_is_told_none(wire: Wire) -> None:
    assert told(wire) == {}


def test_what_the_client_says_of_priority_and_time_is_accepted(wire: Wire) -> None:
    assert set(told(wire, priority=1, timeout=10_000_000, parameters={"mine": 1})) >= {"mine"}


@pytest.mark.parametrize("key", ["sequence_id", "priority", "binary_data_output", "triton_mine"])
def test_reserved_names_are_the_clients_to_refuse(wire: Wire, key: str) -> None:
    with pytest.raises(Exception, match=f'Parameter "{key}" is a reserved parameter and cannot be specified'):
        told(wire, parameters={key: 1})


def test_null_is_no_parameter_and_nested_ones_are_for_models(layout_server: ServerProcess) -> None:
    body = {"inputs": [{"name": "x", "shape": [1], "datatype": "INT32", "data": [1]}]}
    answer = layout_server.infer("told", {**body, "parameters": {"a": None, "b": [1, {"c": 2}]}})
    assert json.loads(answer.json()["outputs"][0]["data"][0]) == {"b": [1, {"c": 2}]}
