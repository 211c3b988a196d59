"""Regions in the memory of NVIDIA GPUs, shared by CUDA's interprocess handles; the only code that calls the driver."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from ctypes import POINTER, byref, c_char, c_char_p, c_int, c_size_t, c_uint, c_uint64, c_void_p
from typing import Any, ClassVar

import numpy as np

from ....errors import InternalError, InvalidArgumentError, OIPError
from ....protocol.regions import Place
from ....tensor.tensor import Buffer
from .region import Region

#: Of a cudaIpcMemHandle_t, which the driver calls CUipcMemHandle.
HANDLE_BYTES = 64
_LAZY_PEER_ACCESS = 1


class _Handle(ctypes.Structure):
    _fields_ = (("reserved", c_char * HANDLE_BYTES),)


_SIGNATURES: dict[str, tuple[Any, ...]] = {
    "cuInit": (c_uint,),
    "cuGetErrorString": (c_int, POINTER(c_char_p)),
    "cuDeviceGetCount": (POINTER(c_int),),
    "cuDeviceGet": (POINTER(c_int), c_int),
    "cuDevicePrimaryCtxRetain": (POINTER(c_void_p), c_int),
    "cuDevicePrimaryCtxRelease_v2": (c_int,),
    "cuCtxPushCurrent_v2": (c_void_p,),
    "cuCtxPopCurrent_v2": (POINTER(c_void_p),),
    "cuIpcOpenMemHandle_v2": (POINTER(c_uint64), _Handle, c_uint),
    "cuIpcCloseMemHandle": (c_uint64,),
    "cuMemGetAddressRange_v2": (POINTER(c_uint64), POINTER(c_size_t), c_uint64),
    "cuMemcpyDtoH_v2": (c_void_p, c_uint64, c_size_t),
    "cuMemcpyHtoD_v2": (c_uint64, c_void_p, c_size_t),
}


class CudaError(Exception):
    """A call of the driver failed; the message names it and the driver's reason."""


class CudaDriver:
    """The few calls of the CUDA driver that regions need. Safe to use from several threads."""

    def __init__(self, library: Any) -> None:
        """Raises CudaError where the driver does not work, AttributeError where ``library`` is no CUDA driver."""
        self._calls = {}
        for name, arguments in _SIGNATURES.items():
            call = getattr(library, name)
            call.argtypes, call.restype = arguments, c_int
            self._calls[name] = call
        self._call("cuInit", 0)

    def _call(self, name: str, *arguments: Any) -> None:
        status = self._calls[name](*arguments)
        if status:
            text = c_char_p()
            self._calls["cuGetErrorString"](status, byref(text))
            raise CudaError(f"{name}: {(text.value or b'unknown error').decode(errors='replace')} ({status})")

    @property
    def devices(self) -> int:
        """How many GPUs there are. Raises CudaError."""
        count = c_int()
        self._call("cuDeviceGetCount", byref(count))
        return count.value

    def retain(self, device: int) -> tuple[int, int]:
        """The primary context of GPU number ``device``, which is the one its other users in this process have, and the
        device to give to ``release``. Raises CudaError."""
        handle, context = c_int(), c_void_p()
        self._call("cuDeviceGet", byref(handle), device)
        self._call("cuDevicePrimaryCtxRetain", byref(context), handle)
        return context.value or 0, handle.value

    def release(self, device: int) -> None:
        """Give back what ``retain`` took."""
        self._call("cuDevicePrimaryCtxRelease_v2", device)

    @contextmanager
    def current(self, context: int) -> Iterator[None]:
        """Meanwhile, calls of this thread are for ``context``."""
        self._call("cuCtxPushCurrent_v2", context)
        try:
            yield
        finally:
            self._call("cuCtxPopCurrent_v2", byref(c_void_p()))

    def open(self, handle: bytes) -> int:
        """The address that ``handle`` stands for, in the current context. Raises CudaError."""
        address = c_uint64()
        self._call("cuIpcOpenMemHandle_v2", byref(address), _Handle.from_buffer_copy(handle), _LAZY_PEER_ACCESS)
        return address.value

    def size(self, address: int) -> int:
        """Bytes of the allocation from ``address`` on. Raises CudaError."""
        base, size = c_uint64(), c_size_t()
        self._call("cuMemGetAddressRange_v2", byref(base), byref(size), address)
        return base.value + size.value - address

    def close(self, address: int) -> None:
        """Undo ``open``."""
        self._call("cuIpcCloseMemHandle", address)

    def to_host(self, target: int, address: int, size: int) -> None:
        """Copy from the GPU to host memory, and wait for it."""
        self._call("cuMemcpyDtoH_v2", target, address, size)

    def to_device(self, address: int, source: int, size: int) -> None:
        """Copy from host memory to the GPU; it has been read when this returns."""
        self._call("cuMemcpyHtoD_v2", address, source, size)


def open_cuda() -> CudaDriver | None:
    """The driver of this machine; None where there is none, or no GPU."""
    try:
        driver = CudaDriver(ctypes.CDLL("libcuda.so.1"))
        return driver if driver.devices else None
    except (OSError, AttributeError, CudaError):
        return None


class CudaRegion(Region):
    """``byte_size`` bytes of the memory of GPU number ``device_id``."""

    kind: ClassVar[str] = "cuda"
    slow: ClassVar[bool] = True

    def __init__(self, name: str, driver: CudaDriver, handle: bytes, device_id: int, byte_size: int) -> None:
        """Open the memory behind ``handle``. Raises InvalidArgumentError."""
        super().__init__(name, byte_size)
        self.device_id = device_id
        self._driver = driver
        try:
            if not 0 <= device_id < driver.devices:  # beyond 32 bits, the driver would be asked for another one
                raise self._refused(f"there is no GPU number {device_id}, they are 0 to {driver.devices - 1}")
            self._context, self._device = driver.retain(device_id)
            try:
                self._address = self._opened(handle)
            except BaseException:
                driver.release(self._device)
                raise
        except (CudaError, ctypes.ArgumentError) as error:
            raise self._refused(str(error)) from None

    def _opened(self, handle: bytes) -> int:
        driver = self._driver
        with driver.current(self._context):
            address = driver.open(handle)
            there = driver.size(address)
            if self.byte_size > there:
                driver.close(address)
                raise self._refused(f"byte_size is {self.byte_size}, but the memory has {there} bytes")
        return address

    def _refused(self, why: str) -> InvalidArgumentError:
        return InvalidArgumentError(f"failed to register CUDA shared memory region '{self.name}': invalid args: {why}")

    def described(self) -> dict[str, Any]:
        return {"name": self.name, "device_id": self.device_id, "byte_size": self.byte_size}

    def read(self, place: Place) -> memoryview:
        host = np.empty(place.size, np.uint8)
        if place.size:
            with self._copying():
                self._driver.to_host(host.ctypes.data, self._address + place.offset, place.size)
        return host.data.toreadonly()

    def write(self, place: Place, data: Buffer) -> None:
        host = np.frombuffer(data, np.uint8)
        if host.size:
            with self._copying():
                self._driver.to_device(self._address + place.offset, host.ctypes.data, host.size)

    @contextmanager
    def _copying(self) -> Iterator[None]:
        try:
            with self._driver.current(self._context):
                yield
        except CudaError as error:
            raise self._failed(error) from None

    def _failed(self, error: CudaError) -> OIPError:
        return InternalError(f"CUDA shared memory region '{self.name}' on GPU {self.device_id}: {error}")

    def close(self) -> None:
        with suppress(CudaError):  # the client may have left, and its memory with it
            with self._driver.current(self._context):
                self._driver.close(self._address)
            self._driver.release(self._device)
