"""The messages of the gRPC wire, in a descriptor pool of their own; knows nothing of the server."""

from __future__ import annotations

from . import inference_pb2

__all__ = ["inference_pb2"]
