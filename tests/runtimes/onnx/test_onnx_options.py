"""The keys of ``parameters.extra``: what each does, and what a wrong one is refused with."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import onnxruntime
import pytest
from oipserver_onnx.session import LoadedGraph, load_graph

from oipserver.errors import ModelLoadError

from .graphs import add, loaded, make


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return add(tmp_path / "model.onnx")


def opened(path: Path, extra: dict[str, Any]) -> LoadedGraph:
    return load_graph(make(path, extra).settings)


def test_session_options_reach_the_session(path: Path) -> None:
    options = {"intra_op_num_threads": 3, "enable_mem_pattern": False, "logid": "mine", "log_severity_level": 3}
    chosen = opened(path, {"session_options": options}).sessions[0].get_session_options()
    assert {name: getattr(chosen, name) for name in options} == options


@pytest.mark.parametrize("level", ["ORT_ENABLE_BASIC", 1])
def test_enumerations_are_given_by_name_or_number(path: Path, level: object) -> None:
    chosen = opened(path, {"session_options": {"graph_optimization_level": level}}).sessions[0].get_session_options()
    assert chosen.graph_optimization_level == onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC


def test_config_entries_reach_the_session(path: Path) -> None:
    entries = {"session.set_denormal_as_zero": True, "session.intra_op.allow_spinning": 1, "mine": "text"}
    chosen = opened(path, {"session_config_entries": entries}).sessions[0].get_session_options()
    assert chosen.get_session_config_entry("session.set_denormal_as_zero") == "1"
    assert chosen.get_session_config_entry("session.intra_op.allow_spinning") == "1"
    assert chosen.get_session_config_entry("mine") == "text"


def test_pools_do_not_spin_unless_told_to(path: Path) -> None:
    chosen = opened(path, {}).sessions[0].get_session_options()
    assert chosen.get_session_config_entry("session.intra_op.allow_spinning") == "0"
    assert chosen.get_session_config_entry("session.inter_op.allow_spinning") == "0"


def test_run_options_reach_each_run(path: Path) -> None:
    run_options = opened(path, {"run_options": {"log_verbosity_level": 2, "logid": "mine"}}).run_options
    assert run_options is not None
    assert (run_options.log_verbosity_level, run_options.logid) == (2, "mine")


def test_provider_options_reach_the_provider(path: Path) -> None:
    for options in ({"some_key": 1}, [{"some_key": 1}]):
        extra = {"providers": ["CPUExecutionProvider"], "provider_options": options}
        assert opened(path, extra).provider == "CPUExecutionProvider"


def test_instances(path: Path) -> None:
    assert loaded(path, {"instances": 3}).instances == 3
    assert loaded(path).instances == 1


def test_an_unknown_key_is_told_with_the_nearest_known_one(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert loaded(path, {"provider": ["CPUExecutionProvider"], "colour": 1}).execution_provider
    assert "parameters.extra.provider is unknown and ignored; did you mean 'providers'?" in caplog.text
    assert "parameters.extra.colour is unknown and ignored; known are providers" in caplog.text


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ({"providers": "CPUExecutionProvider"}, "providers: expected a list of provider names"),
        ({"providers": []}, "providers: expected a list of provider names"),
        ({"providers": [1]}, "providers: expected a list of provider names"),
        ({"provider_options": {"a": 1}}, "provider_options: expected 'providers' beside it"),
        (
            {"providers": ["CPUExecutionProvider"] * 2, "provider_options": {"a": 1}},
            "provider_options: expected a list of 2 objects, one per provider, got {'a': 1} (dict)",
        ),
        (
            {"providers": ["CPUExecutionProvider"], "provider_options": [{}, {}]},
            "provider_options: expected an object or a list of 1 objects",
        ),
        (
            {"providers": ["CPUExecutionProvider"], "provider_options": ["x"]},
            "provider_options[0]: expected an object of texts, numbers and booleans, got 'x' (str)",
        ),
        (
            {"providers": ["CPUExecutionProvider"], "provider_options": {"a": [1]}},
            "provider_options[0].a: expected a text, number or boolean, got [1] (list)",
        ),
        ({"session_options": 3}, "session_options: expected an object, got 3 (int)"),
        (
            {"session_options": {"intra_op_num_threads": "two"}},
            "session_options.intra_op_num_threads: expected an integer, got 'two' (str)",
        ),
        (
            {"session_options": {"intra_op_num_threads": True}},
            "session_options.intra_op_num_threads: expected an integer, got True (bool)",
        ),
        (
            {"session_options": {"enable_mem_pattern": 1}},
            "session_options.enable_mem_pattern: expected true or false, got 1 (int)",
        ),
        ({"session_options": {"logid": 1}}, "session_options.logid: expected a text, got 1 (int)"),
        (
            {"session_options": {"execution_mode": "FAST"}},
            "session_options.execution_mode: expected one of ORT_SEQUENTIAL, ORT_PARALLEL, got 'FAST' (str)",
        ),
        (
            {"session_options": {"intra_op_threads": 1}},
            "session_options.intra_op_threads: no such option in this onnxruntime; did you mean 'intra_op_num",
        ),
        ({"session_options": {"add_initializer": 1}}, "session_options.add_initializer: no such option"),
        ({"session_config_entries": {"a": None}}, "session_config_entries.a: expected a text, number or boolean"),
        ({"run_options": {"zzz": 1}}, "run_options.zzz: no such option in this onnxruntime; known are "),
        ({"device_id": -1}, "device_id: expected an integer of 0 or more, got -1 (int)"),
        ({"device_id": "0"}, "device_id: expected an integer of 0 or more, got '0' (str)"),
        ({"instances": 0}, "instances: expected an integer of 1 or more, got 0 (int)"),
        ({"instances": True}, "instances: expected an integer of 1 or more, got True (bool)"),
    ],
)
def test_a_wrong_option_names_its_key(path: Path, extra: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelLoadError) as caught:
        asyncio.run(make(path, extra).load())
    assert caught.value.message.startswith(f"model 'm': parameters.extra.{message}")
