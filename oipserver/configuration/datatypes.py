"""Names of datatypes: the configuration's and the protocol's."""

from __future__ import annotations

from ..tensor import DATATYPES


def configured_name(datatype: str) -> str:
    """The configuration's name (``TYPE_STRING``) of one of the protocol's datatypes (``BYTES``)."""
    return "TYPE_STRING" if datatype == "BYTES" else f"TYPE_{datatype}"


_PROTOCOL_NAMES = {configured_name(name): name for name in DATATYPES}


def protocol_name(data_type: str) -> str:
    """The protocol's name of a configuration's datatype, "" for TYPE_INVALID."""
    return _PROTOCOL_NAMES.get(data_type, "")
