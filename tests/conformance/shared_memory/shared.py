"""Shared memory objects as Triton's clients make them, and their tensors in requests."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import numpy as np
import tritonclient.utils.shared_memory as shm
from tritonclient.utils import np_to_triton_dtype

from tests.conformance.wires import Wire


class Shared:
    """An object made by the client's own functions, registered under ``name`` unless told otherwise."""

    def __init__(self, wire: Wire, size: int, *, register: bool = True) -> None:
        self.name = f"region-{uuid4().hex[:8]}"
        self.key = f"/oip-{self.name}"
        self.size = size
        self._wire = wire
        self.handle = shm.create_shared_memory_region(self.name, self.key, size)
        if register:
            wire.client.register_system_shared_memory(self.name, self.key, size)

    def put(self, array: np.ndarray[Any, Any], offset: int = 0) -> None:
        shm.set_shared_memory_region(self.handle, [array], offset)

    def get(self, dtype: Any, shape: Any, offset: int = 0) -> np.ndarray[Any, Any]:
        view = shm.get_contents_as_numpy(self.handle, dtype, list(shape), offset)
        return view.copy()

    def input(self, name: str, array: np.ndarray[Any, Any], offset: int = 0) -> Any:
        """An input whose data lie here at ``offset``, where they are put."""
        self.put(array, offset)
        return self.reference(name, array.shape, np_to_triton_dtype(array.dtype), array.nbytes, offset)

    def reference(self, name: str, shape: Any, datatype: Any, size: int, offset: int = 0) -> Any:
        made = self._wire.module.InferInput(name, list(shape), datatype)
        made.set_shared_memory(self.name, size, offset)
        return made

    def output(self, name: str, size: int, offset: int = 0) -> Any:
        made = self._wire.module.InferRequestedOutput(name)
        made.set_shared_memory(self.name, size, offset)
        return made

    def close(self) -> None:
        self._wire.client.unregister_system_shared_memory(self.name)
        shm.destroy_shared_memory_region(self.handle)
