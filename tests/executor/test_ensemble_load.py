"""What is checked when an ensemble is loaded: its steps, and whether its models fit together."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from oipserver.errors import ModelLoadError, UnavailableError
from tests.executor.ensembles import CHAIN, Members, Model, Step, double, ensemble, models, tensors


@pytest.mark.parametrize(
    ("steps", "more", "said"),
    [
        ([("double", {"x": "IN"}, {})], {}, "must specify 'output_map' in step 0"),
        ([("", {"x": "IN"}, {"y": "OUT"})], {}, "must specify 'model_name' in step 0"),
        ([], {}, "must specify 'step'"),
        ([("nope", {"x": "IN"}, {"y": "OUT"})], {}, "ensemble 'e' depends on 'nope' which has no loaded version"),
        ([("double", {"q": "IN"}, {"y": "OUT"})], {}, "'q' is not an input of the model, which has ['x']"),
        ([("double", {"x": "IN"}, {"z": "OUT"})], {}, "'z' is not an output of the model"),
        ([("add", {"b": "IN"}, {"y": "OUT"})], {}, "mapping must be specified for its input 'a'"),
        ([("double", {"x": "other"}, {"y": "OUT"})], {}, "tensor 'other', which step 0 (model 'double') needs"),
        ([("double", {"x": "IN"}, {"y": "m"})], {}, "no data will be written for ensemble output 'OUT'"),
        (CHAIN, {"inputs": tensors("IN", "IN2")}, "ensemble input 'IN2' for ensemble e is not used"),
        ([*CHAIN, CHAIN[0]], {}, "can appear in an output map only once"),
        ([("double", {"x": "IN"}, {"y": "IN"})], {}, "'IN' is an input, step 0 (model 'double') cannot write it"),
        (
            [("add", {"a": "IN", "b": "OUT"}, {"y": "m"}), ("double", {"x": "m"}, {"y": "OUT"})],
            {},
            "circular dependency between its steps",
        ),
        (
            [("ints", {"x": "IN"}, {"y": "OUT"})],
            {},
            "inconsistent data type: FP32 is expected for ensemble tensor 'IN'",
        ),
        ([("wide", {"x": "IN"}, {"y": "OUT"})], {}, "inconsistent shape: [-1, 1] is expected for ensemble tensor 'IN'"),
        (CHAIN, {"inputs": tensors("IN", dims=(3,))}, "inconsistent shape: [-1, 3]"),
        (
            [("few", {"x": "IN"}, {"y": "OUT"})],
            {},
            "allows maximum batch size 4, but step 0 (model 'few') allows only 2",
        ),
        (
            [("stateful", {"x": "IN"}, {"y": "OUT"})],
            {"cache_enabled": True},
            "model of step 0 (model 'stateful') keeps state",
        ),
        (
            [("pieces", {"x": "IN"}, {"y": "m"}), ("double", {"x": "m"}, {"y": "OUT"})],
            {},
            "answers in pieces (decoupled), and other steps take its 'm'",
        ),
    ],
)
def test_what_does_not_make_a_whole(steps: list[Step], more: dict[str, Any], said: str) -> None:
    members = Members(
        models(
            ints=Model(double, {"x": "INT32"}),
            wide=Model(double, {"x": "FP32"}, shape=(-1, 2)),
            few=Model(double, {"x": "FP32"}, most=2),
            stateful=Model(double, {"x": "FP32"}, stateful=True),
            pieces=Model(double, {"x": "FP32"}, decoupled=True),
        )
    )
    with pytest.raises(ModelLoadError) as caught:
        asyncio.run(ensemble(members, steps, **more).load())
    assert said in caught.value.message
    assert "'e'" in caught.value.message
    assert not any(model.leases for model in members.models.values())


def test_a_member_that_failed_to_load_is_named_with_its_reason() -> None:
    class Broken(Members):
        def acquire(self, name: str, version: str) -> Model:
            raise UnavailableError("it is broken")

    with pytest.raises(ModelLoadError) as caught:
        asyncio.run(ensemble(Broken({}), CHAIN).load())
    assert caught.value.message == (
        "ensemble 'e' depends on 'double' which has no loaded version. Model 'double' loading failed with error: it is "
        "broken"
    )


def test_labels_are_those_of_the_models() -> None:
    members = Members(models(classes=Model(double, {"x": "FP32"}, labels=("no", "yes"))))
    steps: list[Step] = [("classes", {"x": "IN"}, {"y": "OUT"}), ("double", {"x": "IN"}, {"y": "OTHER"})]
    face = asyncio.run(ensemble(members, steps, outputs=tensors("OUT", "OTHER")).load())
    assert face.details["labels"] == {"OUT": ("no", "yes")}
