"""The message classes of ``inference.proto``, made when imported; their types are in the generated stubs beside.

They live in a private descriptor pool: a client library that brings messages of the same names can be imported into
the same process, and which protobuf runtime is installed does not matter.
"""

from google.protobuf import descriptor_pool, message_factory

from .inference_descriptor import DESCRIPTOR as _SERIALIZED

POOL = descriptor_pool.DescriptorPool()
POOL.AddSerializedFile(_SERIALIZED)
DESCRIPTOR = POOL.FindFileByName("inference.proto")

globals().update(
    (name, message_factory.GetMessageClass(descriptor)) for name, descriptor in DESCRIPTOR.message_types_by_name.items()
)
