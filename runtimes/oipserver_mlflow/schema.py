"""An MLflow signature as metadata of tensors; imports neither MLflow nor pandas, and sees no data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from oipserver.repository.mlmodel import Element
from oipserver.tensor import DATATYPES
from oipserver.types import MetadataTensor, Parameters

# Datatype and content type of each type of a column; all others are JSON texts.
_COLUMNS: dict[str, tuple[str, str | None]] = {
    "boolean": ("BOOL", None),
    "integer": ("INT32", None),
    "long": ("INT64", None),
    "float": ("FP32", None),
    "double": ("FP64", None),
    "string": ("BYTES", "str"),
    "binary": ("BYTES", "base64"),
    "datetime": ("BYTES", "datetime"),
}
_JSON = ("BYTES", "pd_json")
_DTYPES = {str(datatype.dtype.name): name for name, datatype in DATATYPES.items() if name not in ("BF16", "BYTES")}


@dataclass(frozen=True, slots=True)
class Field:
    """One input or output: its name, whether that is a name of the signature's own, and what it holds.

    ``shape`` has -1 for any length; ``content_type`` says how elements of BYTES are to be read.
    """

    name: str
    named: bool
    datatype: str
    shape: tuple[int, ...]
    content_type: str | None
    required: bool

    def metadata(self) -> MetadataTensor:
        """The field as clients are told of it."""
        told: dict[str, Any] = {"content_type": self.content_type} if self.content_type else {}
        if not self.required:
            told["optional"] = True
        return MetadataTensor(
            name=self.name,
            datatype=self.datatype,
            shape=list(self.shape),
            parameters=Parameters(**told) if told else None,
        )


def fields_of(elements: Sequence[Element] | None, prefix: str) -> tuple[Field, ...]:
    """The inputs or outputs of a signature; those without a name are called ``prefix`` and their number."""
    return tuple(_field(element, f"{prefix}-{index}") for index, element in enumerate(elements or ()))


def _field(element: Element, default: str) -> Field:
    name = element.get("name")
    kind = element.get("type")
    shape: tuple[int, ...] = (-1,)
    if kind == "tensor":
        spec = element.get("tensor-spec", {})
        shape = tuple(spec.get("shape", shape))
        datatype = _DTYPES.get(str(spec.get("dtype")))
        datatype, content_type = (datatype, None) if datatype else ("BYTES", "str")
    else:
        datatype, content_type = _COLUMNS.get(str(kind), _JSON)
    return Field(
        default if name is None else str(name),
        name is not None,
        datatype,
        shape,
        content_type,
        bool(element.get("required", True)),
    )
