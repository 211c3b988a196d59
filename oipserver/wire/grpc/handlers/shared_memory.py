"""The calls of the shared memory extensions over the table of regions."""

from __future__ import annotations

import asyncio

from ....pb import inference_pb2 as pb
from ....plane import DataPlane
from ....plane.extensions.shared_memory import CudaRegion, RegionTable, SystemRegion
from .group import CallGroup, Handler, parsed


class SharedMemoryCalls(CallGroup):
    """Registering, looking at and letting go of regions, of system and of CUDA memory."""

    def __init__(self, data: DataPlane) -> None:
        self._data = data

    @property
    def calls(self) -> dict[str, Handler]:
        return {
            "SystemSharedMemoryStatus": self.system_status,
            "SystemSharedMemoryRegister": self.system_register,
            "SystemSharedMemoryUnregister": self.system_unregister,
            "CudaSharedMemoryStatus": self.cuda_status,
            "CudaSharedMemoryRegister": self.cuda_register,
            "CudaSharedMemoryUnregister": self.cuda_unregister,
        }

    @property
    def _table(self) -> RegionTable:
        return self._data.over_regions.table

    async def system_status(self, data: bytes) -> bytes:
        """The regions that are registered, or one. Raises NotFoundError."""
        request = parsed(pb.SystemSharedMemoryStatusRequest, data)
        found = self._table.status(SystemRegion, request.name)
        status = pb.SystemSharedMemoryStatusResponse.RegionStatus
        return pb.SystemSharedMemoryStatusResponse(
            regions={region.name: status(**region.described()) for region in found}
        ).SerializeToString()

    async def system_register(self, data: bytes) -> bytes:
        """Map a POSIX shared memory object. Raises OIPError."""
        request = parsed(pb.SystemSharedMemoryRegisterRequest, data)
        register = self._table.register_system
        await asyncio.to_thread(register, request.name, request.key, request.offset, request.byte_size)
        return pb.SystemSharedMemoryRegisterResponse().SerializeToString()

    async def system_unregister(self, data: bytes) -> bytes:
        """Let go of a region, or of all."""
        request = parsed(pb.SystemSharedMemoryUnregisterRequest, data)
        self._table.unregister(SystemRegion, request.name)
        return pb.SystemSharedMemoryUnregisterResponse().SerializeToString()

    async def cuda_status(self, data: bytes) -> bytes:
        """The regions that are registered, or one. Raises NotFoundError."""
        request = parsed(pb.CudaSharedMemoryStatusRequest, data)
        found = self._table.status(CudaRegion, request.name)
        status = pb.CudaSharedMemoryStatusResponse.RegionStatus
        return pb.CudaSharedMemoryStatusResponse(
            regions={region.name: status(**region.described()) for region in found}
        ).SerializeToString()

    async def cuda_register(self, data: bytes) -> bytes:
        """Open GPU memory by its handle. Raises OIPError."""
        request = parsed(pb.CudaSharedMemoryRegisterRequest, data)
        register = self._table.register_cuda
        await asyncio.to_thread(register, request.name, request.raw_handle, request.device_id, request.byte_size)
        return pb.CudaSharedMemoryRegisterResponse().SerializeToString()

    async def cuda_unregister(self, data: bytes) -> bytes:
        """Let go of a region, or of all."""
        request = parsed(pb.CudaSharedMemoryUnregisterRequest, data)
        self._table.unregister(CudaRegion, request.name)
        return pb.CudaSharedMemoryUnregisterResponse().SerializeToString()
