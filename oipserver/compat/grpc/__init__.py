"""``mlserver.grpc``: messages, stubs and converters for clients written in Python."""

from __future__ import annotations

from ...pb import inference_pb2 as dataplane_pb2

__all__ = ["dataplane_pb2"]
