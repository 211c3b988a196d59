"""Regions in real shared memory objects: what may be registered, what stays while it is used, and no byte outside."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oipserver.errors import (
    AlreadyExistsError,
    InvalidArgumentError,
    NotFoundError,
    OIPError,
    ResourceExhaustedError,
    UnsupportedError,
)
from oipserver.plane.extensions.shared_memory import CudaRegion, Held, RegionTable, SystemRegion, table
from oipserver.protocol.regions import Place

PAGE = os.sysconf("SC_PAGE_SIZE")
SIZE = 2 * PAGE + 100
FOLDER = Path("/dev/shm")


@pytest.fixture
def key() -> Iterator[str]:
    """A shared memory object of SIZE bytes, byte n of which is n % 251."""
    memory = SharedMemory(f"oip-test-{uuid4().hex}", create=True, size=SIZE)
    memory.buf[:SIZE] = bytes(index % 251 for index in range(SIZE))
    yield memory.name
    memory.close()
    memory.unlink()


@pytest.fixture
def regions() -> Iterator[RegionTable]:
    made = RegionTable()
    yield made
    made.close()


def test_a_region_is_read_and_written_where_it_lies(regions: RegionTable, key: str) -> None:
    offset = PAGE + 7  # no place where a mapping may begin
    regions.register_system("r", f"/{key}", offset, 50)
    (region,) = regions.status(SystemRegion, "r")
    assert region.described() == {"name": "r", "key": f"/{key}", "offset": offset, "byte_size": 50}
    place = Place("r", 10, 5)
    view = region.read(place)
    assert bytes(view) == bytes((offset + 5 + index) % 251 for index in range(10))
    assert view.readonly
    region.write(place, b"xyz")
    assert bytes(view[:4]) == b"xyz" + bytes([(offset + 8) % 251])
    assert (FOLDER / key).read_bytes()[offset + 5 : offset + 8] == b"xyz"


def test_what_is_written_may_overlap_what_it_is_made_from(regions: RegionTable, key: str) -> None:
    regions.register_system("r", key, 0, SIZE)
    (region,) = regions.status(SystemRegion)
    before = bytes(region.read(Place("r", 100)))
    region.write(Place("r", 100, 10), region.read(Place("r", 100)))
    assert bytes(region.read(Place("r", 100, 10))) == before


def test_names_are_taken_once_and_told(regions: RegionTable, key: str) -> None:
    regions.register_system("r", key, 0, 10)
    with pytest.raises(AlreadyExistsError, match="shared memory region 'r' already in manager"):
        regions.register_system("r", key, 10, 10)
    regions.register_system("s", key, 5, 10)  # overlaps, which is the client's business
    assert [region.name for region in regions.status(SystemRegion)] == ["r", "s"]
    assert regions.status(CudaRegion) == []
    with pytest.raises(NotFoundError, match="Unable to find system shared memory region: 'nope'"):
        regions.status(SystemRegion, "nope")
    with pytest.raises(NotFoundError, match="Unable to find cuda shared memory region: 'r'"):
        regions.status(CudaRegion, "r")
    regions.unregister(CudaRegion)
    regions.unregister(SystemRegion, "nope")
    regions.unregister(SystemRegion, "r")
    assert [region.name for region in regions.status(SystemRegion)] == ["s"]
    regions.unregister(SystemRegion)
    assert regions.status(SystemRegion) == []


@pytest.mark.parametrize(
    ("key", "offset", "size", "text"),
    [
        ("/nope_oip", 0, 1, "Unable to open shared memory region: '/nope_oip'"),
        ("", 0, 1, "cannot register shared memory region 'r' - invalid shm key ''"),
        ("/", 0, 1, "cannot register shared memory region 'r' - invalid shm key '/'"),
        ("..", 0, 1, "invalid shm key '..'"),
        ("/.", 0, 1, "invalid shm key '/.'"),
        ("../../etc/passwd", 0, 1, "invalid shm key '../../etc/passwd'"),
        ("/a/../b", 0, 1, "invalid shm key '/a/../b'"),
        ("a\0b", 0, 1, "invalid shm key"),
        ("x" * 300, 0, 1, "Unable to open shared memory region"),
        ("\ud800", 0, 1, "Unable to open shared memory region"),
        ("/triton_python_backend_shm_region_1", 0, 1, "as the key contains the reserved prefix 'triton_python"),
        ("/sem.x", 0, 1, "the reserved prefix 'sem.'"),
        ("/x", 1, 2**64 - 1, "Integer overflow detected: byte_size (18446744073709551615) + offset (1)"),
        ("/x", 0, 0, "byte_size must be more than 0"),
    ],
)
def test_what_cannot_be_registered(regions: RegionTable, key: str, offset: int, size: int, text: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        regions.register_system("r", key, offset, size)
    assert text in caught.value.message
    assert regions.status(SystemRegion) == []


@pytest.mark.parametrize(("offset", "size"), [(0, SIZE + 1), (SIZE, 1), (SIZE + PAGE, 1), (2**63, 1), (1, 2**63)])
def test_no_region_is_larger_than_its_object(regions: RegionTable, key: str, offset: int, size: int) -> None:
    with pytest.raises(InvalidArgumentError, match="failed to register shared memory region 'r': invalid args"):
        regions.register_system("r", key, offset, size)
    regions.register_system("r", key, 0, SIZE)  # the name is free again


def test_links_pipes_and_folders_are_no_shared_memory(regions: RegionTable, tmp_path: Path) -> None:
    target = tmp_path / "secret"
    target.write_bytes(b"secret")
    name = f"oip-test-{uuid4().hex}"
    link, pipe, folder = (FOLDER / f"{name}-{kind}" for kind in ("link", "pipe", "folder"))
    try:
        link.symlink_to(target)
        os.mkfifo(pipe)
        folder.mkdir()
        for path in (link, pipe, folder):
            with pytest.raises(InvalidArgumentError, match="Unable to open shared memory region"):
                regions.register_system("r", path.name, 0, 1)
    finally:
        link.unlink()
        pipe.unlink()
        folder.rmdir()


def test_a_region_goes_when_its_last_user_has(regions: RegionTable, key: str) -> None:
    regions.register_system("r", key, 0, 10)
    first = Held(regions, regions.acquire({"r"}))
    second = first.again()
    view = first.regions["r"].read(Place("r", 10))
    regions.unregister(SystemRegion)
    first.release()
    first.release()
    assert len(regions.status(SystemRegion)) == 1
    with pytest.raises(AlreadyExistsError):
        regions.register_system("r", key, 0, 10)
    del second  # nobody has it any more
    assert regions.status(SystemRegion) == []
    assert view[3] == 3  # what still looks at it keeps the memory
    with pytest.raises(NotFoundError, match="Unable to find shared memory region: 'r'"):
        regions.acquire({"r"})
    regions.register_system("r", key, 0, 10)


def test_the_collector_may_end_a_hold_in_the_middle_of_anything(regions: RegionTable, key: str) -> None:
    regions.register_system("r", key, 0, 10)
    held = Held(regions, regions.acquire({"r"}))
    with regions._lock:  # as within any method; the thread must not wait for itself
        regions.unregister(SystemRegion)
        del held
    assert regions.status(SystemRegion) == []


def test_acquiring_holds_all_or_none(regions: RegionTable, key: str) -> None:
    regions.register_system("r", key, 0, 10)
    with pytest.raises(NotFoundError):
        regions.acquire({"r", "nope"})
    regions.unregister(SystemRegion)
    assert regions.status(SystemRegion) == []


def test_an_object_that_shrank_is_not_touched(regions: RegionTable, key: str) -> None:
    regions.register_system("r", key, 0, SIZE)
    (region,) = regions.status(SystemRegion)
    os.truncate(FOLDER / key, PAGE)
    region.check(Place("r", PAGE))
    with pytest.raises(InvalidArgumentError, match=f"was made smaller since it was registered, {PAGE} of {SIZE} bytes"):
        region.check(Place("r", 1, PAGE))
    os.truncate(FOLDER / key, SIZE)


def test_disabled_and_bounded(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    off = RegionTable(allowed=False)
    assert off.extensions == ()
    for refused in (
        lambda: off.register_system("r", key, 0, 1),
        lambda: off.register_cuda("r", bytes(64), 0, 1),
        lambda: off.acquire({"r"}),
    ):
        with pytest.raises(UnsupportedError, match="Start the server with '--allow-client-shm=true' to enable"):
            refused()
    off.unregister(SystemRegion)
    assert off.status(SystemRegion) == []
    monkeypatch.setattr(table, "MAX_REGIONS", 1)
    on = RegionTable()
    assert on.extensions == ("system_shared_memory",)
    on.register_system("r", key, 0, 1)
    with pytest.raises(ResourceExhaustedError, match="no more are allowed"):
        on.register_system("s", key, 0, 1)
    on.close()
    assert on.status(SystemRegion) == []


NUMBERS = st.one_of(
    st.integers(0, SIZE + 10), st.integers(0, 2**64), st.sampled_from([PAGE - 1, PAGE, PAGE + 1, 2**31, 2**32, 2**63])
)


@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(offset=NUMBERS, size=NUMBERS, place_offset=NUMBERS, place_size=NUMBERS)
def test_no_byte_outside(key: str, offset: int, size: int, place_offset: int, place_size: int) -> None:
    """Whatever sizes and offsets a client tells: what is read are the bytes of the object at that place, or nothing."""
    regions = RegionTable()
    with suppress(OIPError):
        regions.register_system("r", key, offset, size)
        assert offset + size <= SIZE
        (region,) = regions.status(SystemRegion)
        place = Place("r", place_size, place_offset)
        region.check(place)
        assert place_offset + place_size <= size
        start = offset + place_offset
        expected = (np.arange(start, start + place_size) % 251).astype(np.uint8).tobytes()
        assert bytes(region.read(place)) == expected
    regions.close()
