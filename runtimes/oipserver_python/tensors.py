"""Tensors as a model of Triton's Python backend has them; knows no request."""

from __future__ import annotations

from typing import Any

import numpy as np

from oipserver import OIPError
from oipserver import Tensor as ServerTensor

from .datatypes import number_of
from .failures import TritonModelException

_CPU = (1, 0)  # type and number of the device, in terms of DLPack


class Tensor:
    """A named array. Strings are arrays of objects, each one ``bytes``."""

    def __init__(self, name: str | bytes, array: np.ndarray[Any, Any]) -> None:
        """``array`` is kept, not copied, unless it holds strings. Raises TritonModelException for what is no tensor."""
        name = text(name, "the name of a tensor")
        if not isinstance(array, (np.ndarray, np.generic)):
            raise TritonModelException(f"tensor '{name}' must be made of a numpy array, not of {type(array).__name__}")
        array = np.asarray(array)
        if array.dtype.kind in "OSU":
            array = _as_bytes(array)
        try:
            self._tensor = ServerTensor.from_array(name, array)
        except OIPError as error:
            raise TritonModelException(f"tensor '{name}': {error.message}") from None
        self._array: np.ndarray[Any, Any] | None = array

    @classmethod
    def of(cls, tensor: ServerTensor) -> Tensor:
        """The model's view of a tensor of the server."""
        made = cls.__new__(cls)
        made._tensor, made._array = tensor, None
        return made

    @property
    def served(self) -> ServerTensor:
        """The server's tensor of the same data."""
        return self._tensor

    def name(self) -> str:
        """Its name."""
        return self._tensor.name

    def shape(self) -> list[int]:
        """Its dimensions."""
        return list(self._tensor.shape)

    def triton_dtype(self) -> int:
        """The number of its datatype."""
        return number_of(self._tensor.datatype)

    def is_cpu(self) -> bool:
        """Whether its data is in main memory, as it always is here."""
        return True

    def as_numpy(self) -> np.ndarray[Any, Any]:
        """Its array, which may be changed in place. Raises TritonModelException for BF16, which numpy does not have."""
        if self._tensor.datatype == "BF16":
            raise TritonModelException(
                f"tensor '{self.name()}' is BF16, which numpy does not have: use torch.from_dlpack(tensor)"
            )
        if self._array is None:
            try:
                array = self._tensor.array
            except OIPError as error:
                raise TritonModelException(error.message) from None
            # Requests lie in memory that is not theirs to change; models of Triton do change their inputs.
            self._array = array if array.flags.writeable else array.copy()
        return self._array

    # -- DLPack --------------------------------------------------------------------------------------------------

    def __dlpack_device__(self) -> tuple[int, int]:
        return _CPU

    def __dlpack__(self, *, stream: Any = None, **_: Any) -> Any:
        """A capsule over its data. Raises TritonModelException for strings."""
        datatype = self._tensor.datatype
        if datatype == "BYTES":
            raise TritonModelException(f"tensor '{self.name()}' holds strings, which DLPack does not have")
        if datatype == "BF16":
            torch = _torch(self.name())
            return torch.from_numpy(self._tensor.array.view(np.int16).copy()).view(torch.bfloat16).__dlpack__()
        return np.ascontiguousarray(self.as_numpy()).__dlpack__()

    def to_dlpack(self) -> Any:
        """A capsule over its data."""
        return self.__dlpack__()

    @classmethod
    def from_dlpack(cls, name: str, tensor: Any) -> Tensor:
        """A tensor over anything that speaks DLPack, or a capsule of it; from a GPU it is copied.

        Raises TritonModelException where its datatype is not one of the protocol's.
        """
        if not hasattr(tensor, "__dlpack__"):
            tensor = _torch(name).from_dlpack(tensor)  # a bare capsule, which numpy does not take
        device, _ = tensor.__dlpack_device__()
        if device != _CPU[0]:
            tensor = _torch(name).from_dlpack(tensor).cpu()
        try:
            return cls(name, np.from_dlpack(tensor))
        except (TypeError, RuntimeError, BufferError) as error:
            return _from_bfloat16(name, tensor, error)


def _from_bfloat16(name: str, tensor: Any, problem: Exception) -> Tensor:
    torch = _torch(name)
    tensor = torch.from_dlpack(tensor)
    if tensor.dtype != torch.bfloat16:
        raise TritonModelException(f"tensor '{name}': {problem}") from None
    array = tensor.contiguous().view(torch.int16).numpy().view(np.uint16)
    return Tensor.of(ServerTensor.from_array(name, array, "BF16"))


def _torch(tensor: str) -> Any:
    try:
        import torch
    except ImportError:
        raise TritonModelException(f"tensor '{tensor}' needs PyTorch for that, which is not installed") from None
    return torch


def text(value: str | bytes, what: str) -> str:
    """A name, which models often have as the bytes of a string tensor. Raises TritonModelException naming ``what``."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if not isinstance(value, str):
        raise TritonModelException(f"{what} must be a str, not {type(value).__name__}")
    return value


def _as_bytes(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Any array of strings as one of objects of bytes; what is neither bytes nor text is written as text."""
    flat = np.empty(array.size, dtype=object)
    flat[:] = [
        element if isinstance(element, bytes) else str(element).encode("utf-8", "surrogateescape")
        for element in array.ravel().tolist()
    ]
    return flat.reshape(array.shape)
