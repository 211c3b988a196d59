"""Which results a model may compute where they are wanted: large ones, where nothing that is still read lies."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest

from oipserver.plane.extensions.shared_memory import RegionTable
from oipserver.plane.extensions.shared_memory.inference import QUICK_BYTES, RegionUse
from oipserver.protocol import InferRequest, RequestedOutput
from oipserver.protocol.regions import Place, PlacedTensor
from oipserver.runtime import ModelHost
from oipserver.scheduler.merge import pieces
from oipserver.settings import ModelSettings
from tests.support.models import write_identity_model

LARGE = 2 * QUICK_BYTES
SIZE = 4 * LARGE


@pytest.fixture
def table() -> Iterator[RegionTable]:
    """Regions ``r``, all of an object, and ``s``, the same from its LARGE-th byte on."""
    memory = SharedMemory(f"oip-test-{uuid4().hex}", create=True, size=SIZE)
    memory.buf[:] = bytes(range(256)) * (SIZE // 256)
    made = RegionTable()
    made.register_system("r", memory.name, 0, SIZE)
    made.register_system("s", f"/{memory.name}", LARGE, SIZE - LARGE)
    yield made
    made.close()
    memory.close()
    memory.unlink()


def request(*outputs: tuple[str, Place], read: Place) -> InferRequest:
    placed = PlacedTensor("x", "UINT8", (1, read.size), read)
    return InferRequest("m", [placed], outputs=[RequestedOutput(name) for name, _ in outputs], regions=dict(outputs))


@pytest.mark.parametrize(
    ("place", "straight"),
    [
        (Place("r", LARGE, LARGE), True),
        (Place("r", QUICK_BYTES, LARGE), False),  # binding costs more than the copy
        (Place("r", LARGE, 0), False),
        (Place("r", LARGE, LARGE - 1), False),
        (Place("s", LARGE, 0), True),
    ],
)
def test_large_results_apart_from_what_is_read(table: RegionTable, place: Place, straight: bool) -> None:
    asked = request(("y", place), ("z", Place("r", QUICK_BYTES, 3 * LARGE)), read=Place("r", LARGE))
    with RegionUse(table, asked) as use:
        use.read()
        into = asked.outputs[0].into
        assert (into is not None) is straight
        assert asked.outputs[1].into is None


def test_two_regions_of_one_object_are_seen_to_overlap(table: RegionTable) -> None:
    asked = request(("y", Place("s", LARGE)), read=Place("r", LARGE + 1))
    with RegionUse(table, asked) as use:
        use.read()
        assert asked.outputs[0].into is None


def test_a_graph_computes_into_the_region(table: RegionTable, tmp_path: Path) -> None:
    write_identity_model(tmp_path / "m", "UINT8", 2)
    uri = str(tmp_path / "m" / "model.onnx")

    async def main() -> None:
        host = ModelHost(ModelSettings(name="m", implementation="onnx", parameters={"uri": uri}))
        await host.load()
        asked = request(("y", Place("r", LARGE, 2 * LARGE)), read=Place("r", LARGE))
        with RegionUse(table, asked) as use:
            use.read()
            into = asked.outputs[0].into
            assert into is not None
            into[:] = bytes(LARGE)
            response = host.infer_now(asked)
            assert np.shares_memory(response.outputs[0].array, np.frombuffer(into, np.uint8))
            assert bytes(into) == bytes(range(256)) * (LARGE // 256)
            (placed,) = use.write(response).outputs
            assert isinstance(placed, PlacedTensor)
        await host.unload()

    asyncio.run(main())


def test_parts_of_a_request_are_not_computed_over_each_other(table: RegionTable) -> None:
    asked = InferRequest("m", [PlacedTensor("x", "UINT8", (2, LARGE), Place("r", 2 * LARGE))])
    asked.outputs, asked.regions = [RequestedOutput("y")], {"y": Place("r", 2 * LARGE, 2 * LARGE)}
    with RegionUse(table, asked) as use:
        use.read()
        assert asked.outputs[0].into is not None
        assert [part.regions for part in pieces(asked, 2, 1)] == [None, None]
