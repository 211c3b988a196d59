"""The private descriptor pool, and the message classes made from it; knows no message by name."""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor import FileDescriptor

from .descriptors import DESCRIPTORS

POOL = descriptor_pool.DescriptorPool()
for _serialized in DESCRIPTORS:
    POOL.AddSerializedFile(_serialized)


def file_of(name: str) -> FileDescriptor:
    """The descriptor of the ``.proto`` file of this name."""
    return POOL.FindFileByName(name)


def names_in(file: FileDescriptor) -> dict[str, Any]:
    """What a generated module of ``file`` would define: its message classes, and the numbers of its enums' values."""
    classes = {
        name: message_factory.GetMessageClass(descriptor) for name, descriptor in file.message_types_by_name.items()
    }
    values = {value.name: value.number for enum in file.enum_types_by_name.values() for value in enum.values}
    return {**classes, **values}
