"""One request as a trace in Triton's JSON form: instants, and tensors where they are wanted; writes no file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ..protocol import Timings
from ..tensor import Tensor

QUEUE_INPUT = "TENSOR_QUEUE_INPUT"
BACKEND_OUTPUT = "TENSOR_BACKEND_OUTPUT"


@dataclass(slots=True)
class RequestTrace:
    """What is noted of one request. ``timestamps`` and ``tensors`` are None where they are not wanted."""

    model_name: str
    model_version: str
    request_id: str
    timestamps: list[tuple[str, int]] | None
    tensors: list[tuple[str, Tensor]] | None
    id: int = field(default=0, init=False)  # given when it is written
    nbytes: int = field(default=0, init=False)  # of the tensors

    def at(self, name: str, ns: int) -> None:
        """Note that ``name`` happened at ``ns`` (``time.monotonic_ns``)."""
        if self.timestamps is not None:
            self.timestamps.append((name, ns))

    def stages(self, timings: Timings) -> None:
        """Note the instants of a request's walk."""
        self.at("QUEUE_START", timings.received)
        self.at("COMPUTE_START", timings.dispatched)
        self.at("COMPUTE_INPUT_END", timings.infer_start)
        self.at("COMPUTE_OUTPUT_START", timings.infer_end)
        self.at("COMPUTE_END", timings.finished)

    def saw(self, activity: str, tensors: Iterable[Tensor]) -> None:
        """Note ``tensors``. Their bytes are copied: whoever has them may write over them soon."""
        if self.tensors is None:
            return
        for tensor in tensors:
            copy = Tensor(tensor.name, tensor.datatype, tensor.shape, None, bytes(tensor.raw))
            self.nbytes += copy.nbytes
            self.tensors.append((activity, copy))

    def events(self) -> Iterator[dict[str, Any]]:
        """The objects that a trace file has of this request."""
        version = self.model_version
        told: dict[str, Any] = {
            "id": self.id,
            "model_name": self.model_name,
            "model_version": int(version) if version.isascii() and version.isdigit() else version or -1,
        }
        if self.request_id:
            told["request_id"] = self.request_id
        yield told
        for name, ns in self.timestamps or ():
            yield {"id": self.id, "timestamps": [{"name": name, "ns": ns}]}
        for activity, tensor in self.tensors or ():
            yield {"id": self.id, "activity": activity, "tensor": _tensor(tensor)}


def _tensor(tensor: Tensor) -> dict[str, str]:
    return {
        "name": tensor.name,
        "data": ",".join(map(_text, tensor.array.ravel().tolist())),
        "shape": ",".join(map(str, tensor.shape)),
        "dtype": tensor.datatype,
    }


def _text(value: object) -> str:
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
