"""The messages of ``inference.proto``, made when imported; their types are in the generated stubs beside."""

from .pool import file_of, names_in

DESCRIPTOR = file_of("inference.proto")

globals().update(names_in(DESCRIPTOR))
