"""Traces of every way a request may go: answered here, passed on to the loop, in pieces, failed; none while off."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oipserver.errors import OIPError
from oipserver.plane import DataPlane, TraceControl
from oipserver.protocol import InferRequest
from oipserver.settings import Settings
from oipserver.tensor import Tensor
from tests.wire.rest.rest_world import planes, run


def asks(model: str, value: object = 1, **more: Any) -> InferRequest:
    array = np.array([value], dtype=object if isinstance(value, str) else np.int64)
    return InferRequest(model, [Tensor.from_array("x", array)], **more)


def traced(path: Path, work: Callable[[DataPlane, TraceControl], Any], **settings: Any) -> dict[int, list[str]]:
    """Names of the instants of each trace that ``work`` leaves in the file."""

    async def main() -> None:
        chosen = Settings(trace_file=str(path), **{"trace_level": ["TIMESTAMPS"], "trace_rate": 1, **settings})
        async with planes(chosen) as (data, _):
            control = TraceControl(data, chosen)
            await work(data, control)
            await asyncio.to_thread(control.close)
            assert vars(data).keys().isdisjoint({"begin", "infer_here", "stream"})

    run(main)
    found: dict[int, list[str]] = {}
    for event in json.loads(path.read_text()) if path.exists() else ():
        found.setdefault(event["id"], []).extend(stamp["name"] for stamp in event.get("timestamps", ()))
    return found


def test_off_leaves_the_plane_as_it_is(tmp_path: Path) -> None:
    async def work(data: DataPlane, control: TraceControl) -> None:
        def intercepted() -> bool:
            return "begin" in vars(data)

        assert not intercepted()
        control.update({"trace_level": ["TIMESTAMPS"]}, "echo")
        assert intercepted()
        await data.infer(asks("echo"))
        await data.infer(asks("versioned"))  # a model that is not to be traced, while another is
        control.update({"trace_level": None}, "echo")
        assert not intercepted()
        await data.infer(asks("echo"))

    assert len(traced(tmp_path / "t.json", work, trace_level=["OFF"])) == 1


def test_requests_passed_on_to_the_loop_are_chosen_once(tmp_path: Path) -> None:
    async def work(data: DataPlane, _: TraceControl) -> None:
        for _ in range(6):
            request = asks("broken", "headers")
            assert data.infer_here(request) is None
            await data.infer(request)

    found = traced(tmp_path / "t.json", work, trace_rate=2)
    assert len(found) == 3
    assert all("COMPUTE_START" in names for names in found.values())


def test_failures(tmp_path: Path) -> None:
    async def work(data: DataPlane, _: TraceControl) -> None:
        for request in (asks("broken", "client"), asks("add"), asks("nope")):
            with pytest.raises(OIPError):
                await data.infer(request)
        with pytest.raises(OIPError):
            data.infer_here(asks("add"))

    found = traced(tmp_path / "t.json", work)
    assert list(found.values()) == [["REQUEST_START", "REQUEST_END"]] * 3  # what is no model of ours is no trace


def test_streams(tmp_path: Path) -> None:
    async def work(data: DataPlane, _: TraceControl) -> None:
        async with aclosing(data.stream(asks("counting", 3))) as answers:
            assert len([answer async for answer in answers]) == 3
        async with aclosing(data.stream(asks("counting", -1))) as answers:
            with pytest.raises(OIPError):
                [answer async for answer in answers]
        async with aclosing(data.stream(asks("counting", 3))) as answers:
            await anext(answers)

    whole, failed, left = traced(tmp_path / "t.json", work).values()
    assert whole.count("INFER_RESPONSE_COMPLETE") == 3
    assert whole[-1] == failed[-1] == left[-1] == "REQUEST_END"
    assert failed.count("INFER_RESPONSE_COMPLETE") == left.count("INFER_RESPONSE_COMPLETE") == 1


def test_counts_run_out_and_start_again(tmp_path: Path) -> None:
    async def work(data: DataPlane, control: TraceControl) -> None:
        for _ in range(5):
            await data.infer(asks("echo"))
        assert control.told()["trace_count"] == ["0"]
        control.update({"trace_rate": ["1"]})
        await data.infer(asks("echo"))
        control.update({"trace_count": ["1"]})
        await data.infer(asks("echo"))
        await data.infer(asks("echo"))

    assert len(traced(tmp_path / "t.json", work, trace_count=2)) == 3
