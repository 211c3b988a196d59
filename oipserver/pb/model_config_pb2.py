"""The messages of ``model_config.proto``, made when imported; their types are in the generated stubs beside."""

from .pool import file_of, names_in

DESCRIPTOR = file_of("model_config.proto")

globals().update(names_in(DESCRIPTOR))
