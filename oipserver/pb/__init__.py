"""The protobuf messages of the protocol, in a descriptor pool of their own; knows nothing of the server.

They live in a private pool: a client library that brings messages of the same names can be imported into the same
process, and which protobuf runtime is installed does not matter.
"""

from __future__ import annotations

from . import inference_pb2, model_config_pb2

__all__ = ["inference_pb2", "model_config_pb2"]
