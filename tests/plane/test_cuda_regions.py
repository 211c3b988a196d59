"""CUDA regions over a driver made of C functions on this process's memory, called as the real one is: by ctypes."""

from __future__ import annotations

import asyncio
import ctypes
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oipserver.errors import InternalError, InvalidArgumentError, NotFoundError
from oipserver.plane.extensions.shared_memory import CudaDriver, CudaRegion, RegionPlane, RegionTable, SystemRegion
from oipserver.plane.extensions.shared_memory.cuda import CudaError
from oipserver.protocol import InferRequest
from oipserver.protocol.regions import Place, PlacedTensor
from oipserver.settings import Settings
from tests.wire.rest.rest_world import planes

COMPILER = shutil.which("cc")
pytestmark = pytest.mark.skipif(COMPILER is None, reason="there is no C compiler")


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    library = tmp_path_factory.mktemp("cuda") / "libcuda.so.1"
    source = Path(__file__).with_name("fake_cuda.c")
    subprocess.run([str(COMPILER), "-shared", "-fPIC", "-Wall", "-Werror", "-o", library, source], check=True)
    return library


class Gpu:
    """The driver, its counters, and device memory with its handle."""

    def __init__(self, library: Path) -> None:
        self.library = ctypes.CDLL(str(library))
        self.memory = np.arange(256, dtype=np.uint8)
        address, size = self.memory.ctypes.data, self.memory.size
        self.handle = address.to_bytes(8, "little") + bytes(48) + size.to_bytes(8, "little")

    def __getitem__(self, name: str) -> int:
        return ctypes.c_int.in_dll(self.library, f"fake_{name}").value

    def __setitem__(self, name: str, value: int) -> None:
        ctypes.c_int.in_dll(self.library, f"fake_{name}").value = value


@pytest.fixture
def gpu(compiled: Path) -> Iterator[Gpu]:
    made = Gpu(compiled)
    yield made
    assert made["depth"] == 0
    assert (made["opened"], made["retained"]) == (0, 0)


@pytest.fixture
def table(gpu: Gpu) -> Iterator[RegionTable]:
    made = RegionTable(cuda=CudaDriver(gpu.library))
    yield made
    made.close()


def test_a_region_is_registered_told_and_let_go(gpu: Gpu, table: RegionTable) -> None:
    assert table.extensions == ("system_shared_memory", "cuda_shared_memory")
    table.register_cuda("g", gpu.handle, 0, 256)
    (region,) = table.status(CudaRegion)
    assert region.described() == {"name": "g", "device_id": 0, "byte_size": 256}
    assert table.status(SystemRegion) == []
    assert (gpu["opened"], gpu["retained"]) == (1, 1)
    with pytest.raises(NotFoundError):
        table.status(SystemRegion, "g")
    table.unregister(SystemRegion)
    assert gpu["opened"] == 1
    table.unregister(CudaRegion)
    assert (gpu["opened"], gpu["retained"]) == (0, 0)


def test_bytes_go_to_the_gpu_and_back(gpu: Gpu, table: RegionTable) -> None:
    table.register_cuda("g", gpu.handle, 0, 200)
    (region,) = table.status(CudaRegion)
    view = region.read(Place("g", 5, 10))
    assert (bytes(view), view.readonly) == (bytes(range(10, 15)), True)
    region.write(Place("g", 100, 150), memoryview(b"new"))
    assert gpu.memory[149:154].tolist() == [149, *b"new", 153]
    assert bytes(view) == bytes(range(10, 15))
    assert bytes(region.read(Place("g", 0, 200))) == b""
    gpu["failing"] = 1
    with pytest.raises(InternalError, match="region 'g' on GPU 0: cuMemcpyDtoH_v2: fake failure"):
        region.read(Place("g", 1))
    gpu["failing"] = 0


@pytest.mark.parametrize(
    ("device", "size", "handle", "text"),
    [
        (0, 257, None, "byte_size is 257, but the memory has 256 bytes"),
        (1, 10, None, "there is no GPU number 1, they are 0 to 0"),
        (2**40, 10, None, "there is no GPU number"),
        (-1, 10, None, "there is no GPU number -1"),
        (0, 10, bytes(64), "invalid args: cuIpcOpenMemHandle_v2: invalid handle"),
        (0, 10, bytes(63), "a raw handle has 64 bytes, got 63"),
    ],
)
def test_what_cannot_be_opened(
    gpu: Gpu, table: RegionTable, device: int, size: int, handle: bytes | None, text: str
) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        table.register_cuda("g", gpu.handle if handle is None else handle, device, size)
    assert "failed to register CUDA shared memory region 'g'" in caught.value.message
    assert text in caught.value.message
    assert table.status(CudaRegion) == []


def test_without_a_gpu() -> None:
    table = RegionTable()
    text = "failed to register CUDA shared memory region: 'g', GPUs not supported"
    with pytest.raises(InvalidArgumentError, match=text):
        table.register_cuda("g", bytes(64), 0, 1)
    assert table.status(CudaRegion) == []
    table.unregister(CudaRegion)


def test_a_library_that_is_no_driver_is_refused() -> None:
    with pytest.raises((AttributeError, CudaError)):
        CudaDriver(ctypes.CDLL(None))


def test_inference_on_gpu_memory(gpu: Gpu, table: RegionTable) -> None:
    gpu.memory[:128] = np.frombuffer(np.arange(32, dtype=np.float32).tobytes(), np.uint8)

    def request() -> InferRequest:
        inputs: list[Any] = [
            PlacedTensor("INPUT0", "FP32", (1, 16), Place("g", 64)),
            PlacedTensor("INPUT1", "FP32", (1, 16), Place("g", 64, 64)),
        ]
        return InferRequest("add", inputs, regions={"OUTPUT0": Place("g", 64, 192)})

    async def main() -> None:
        async with planes(Settings()) as (data, _):
            plane = RegionPlane(data, table)
            table.register_cuda("g", gpu.handle, 0, 256)
            for infer in (plane.infer, lambda asked: asyncio.to_thread(plane.infer_here, asked)):
                gpu.memory[192:] = 0
                response = await infer(request())
                placed, other = response.outputs
                assert placed.parameters == Place("g", 64, 192).parameters
                assert gpu.memory[192:].view(np.float32).tolist() == list(range(16, 48, 2))
                assert other.array.tolist() == [[-16.0] * 16]

    asyncio.run(main())
