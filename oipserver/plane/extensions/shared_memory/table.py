"""Which regions are registered, and which of them requests use now; reads and writes none."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from threading import RLock
from types import TracebackType
from typing import Self, TypeVar

from ....errors import (
    AlreadyExistsError,
    InvalidArgumentError,
    NotFoundError,
    ResourceExhaustedError,
    UnsupportedError,
)
from .cuda import HANDLE_BYTES, CudaDriver, CudaRegion
from .region import Region
from .system import SystemRegion

#: Each one is a mapping and a file descriptor.
MAX_REGIONS = 4096
R = TypeVar("R", bound=Region)


class RegionTable:
    """The registered regions, of every kind under one name space. Safe to use from several threads.

    ``cuda`` is None where the machine has none; where clients' shared memory is not ``allowed``, none is registered.
    """

    def __init__(self, *, allowed: bool = True, cuda: CudaDriver | None = None) -> None:
        self._allowed = allowed
        self._cuda = cuda
        self._regions: dict[str, Region] = {}
        self._opening: set[str] = set()
        self._lock = RLock()  # the garbage collector may end a Held in the middle of a method of this

    @property
    def extensions(self) -> tuple[str, ...]:
        """Names of the protocol's extensions that are there."""
        if not self._allowed:
            return ()
        return ("system_shared_memory", "cuda_shared_memory") if self._cuda else ("system_shared_memory",)

    # -- what clients ask for ------------------------------------------------------------------------------------

    def register_system(self, name: str, key: str, offset: int, byte_size: int) -> None:
        """Map ``byte_size`` bytes at ``offset`` of the POSIX shared memory object ``key``. Raises OIPError."""
        self._register(name, byte_size, lambda: SystemRegion(name, key, offset, byte_size))

    def register_cuda(self, name: str, handle: bytes, device: int, byte_size: int) -> None:
        """Open ``byte_size`` bytes of GPU memory by their cudaIpcMemHandle_t. Raises OIPError."""
        cuda = self._cuda
        if cuda is None:
            self._require_allowed()
            raise InvalidArgumentError(
                f"failed to register CUDA shared memory region: '{name}', GPUs not supported: this machine has no "
                "NVIDIA driver or no GPU"
            )
        if len(handle) != HANDLE_BYTES:
            raise InvalidArgumentError(
                f"failed to register CUDA shared memory region '{name}': a raw handle has {HANDLE_BYTES} bytes, "
                f"got {len(handle)}"
            )
        self._register(name, byte_size, lambda: CudaRegion(name, cuda, handle, device, byte_size))

    def _register(self, name: str, byte_size: int, opened: Callable[[], Region]) -> None:
        self._require_allowed()
        if not name:
            raise InvalidArgumentError("a shared memory region must have a name")
        if byte_size <= 0:
            raise InvalidArgumentError(
                f"failed to register shared memory region '{name}': invalid args: byte_size must be more than 0"
            )
        with self._lock:
            if name in self._regions or name in self._opening:
                raise _already(name)
            if len(self._regions) + len(self._opening) >= MAX_REGIONS:
                raise ResourceExhaustedError(
                    f"failed to register shared memory region '{name}': {MAX_REGIONS} regions are registered, "
                    "and no more are allowed; unregister some"
                )
            self._opening.add(name)
        region: Region | None = None
        try:
            region = opened()  # outside of the lock: a device may take its time
        finally:
            with self._lock:
                self._opening.discard(name)
                if region is not None:
                    self._regions[name] = region

    def _require_allowed(self) -> None:
        if not self._allowed:
            raise UnsupportedError(
                "Client shared memory is disabled. Start the server with '--allow-client-shm=true' to enable."
            )

    def status(self, kind: type[R], name: str = "") -> list[R]:
        """The regions of ``kind`` that are registered, or the one called ``name``. Raises NotFoundError."""
        with self._lock:
            found = [region for region in list(self._regions.values()) if isinstance(region, kind)]
        if not name:
            return found
        found = [region for region in found if region.name == name]
        if not found:
            raise NotFoundError(f"Unable to find {kind.kind} shared memory region: '{name}'")
        return found

    def unregister(self, kind: type[Region], name: str = "") -> None:
        """Let go of the region ``name`` of ``kind``, or of all: those in use go when their last request has ended.

        A name that is not there is none that is left.
        """
        with self._lock:
            wanted = [
                region
                for region in list(self._regions.values())
                if isinstance(region, kind) and (not name or region.name == name)
            ]
            for region in wanted:
                region.leaving = True
            gone = [region for region in wanted if self._is_over(region)]
        for region in gone:
            region.close()

    def _is_over(self, region: Region) -> bool:
        """Take ``region`` out where it is leaving and nobody uses it any more; whether that was so."""
        over = region.leaving and not region.users and self._regions.get(region.name) is region
        if over:
            del self._regions[region.name]
        return over

    def close(self) -> None:
        """Let go of every region."""
        self.unregister(SystemRegion)
        self.unregister(CudaRegion)

    # -- what requests do ----------------------------------------------------------------------------------------

    def acquire(self, names: Iterable[str]) -> dict[str, Region]:
        """The regions called ``names``, which stay until they are given to ``release``: leave that to a ``Held``.

        Raises NotFoundError naming one that is not there; none is held then.
        """
        self._require_allowed()
        with self._lock:
            try:
                found = {name: self._regions[name] for name in names}
            except KeyError as error:
                raise NotFoundError(f"Unable to find shared memory region: '{error.args[0]}'") from None
            for region in found.values():
                region.users += 1
        return found

    def acquire_again(self, held: Iterable[Region]) -> None:
        """Count ``held``, which nobody released yet, once more."""
        with self._lock:
            for region in held:
                region.users += 1

    def release(self, held: Iterable[Region]) -> None:
        """Give back what ``acquire`` returned."""
        gone: list[Region] = []
        with self._lock:
            for region in held:
                region.users -= 1
                if self._is_over(region):
                    gone.append(region)
        for region in gone:
            region.close()


def _already(name: str) -> AlreadyExistsError:
    error = AlreadyExistsError(f"shared memory region '{name}' already in manager")
    error.status_code = 400  # as Triton tells it over REST, where a name that is taken is otherwise a 409
    return error


class Held:
    """Regions that are held until ``release``, or at the latest until nobody has this object any more, as when a
    coroutine is given up before it began."""

    def __init__(self, table: RegionTable, regions: dict[str, Region]) -> None:
        self.regions = regions
        self._table = table

    def again(self) -> Held:
        """Another hold on the same regions."""
        self._table.acquire_again(self.regions.values())
        return Held(self._table, self.regions)

    def release(self) -> None:
        """Give the regions back; once is enough."""
        held, self.regions = self.regions, {}
        if held:
            self._table.release(held.values())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def __del__(self) -> None:
        if hasattr(self, "regions"):  # else it was never made
            self.release()
