"""What can go wrong between content types and Python values; all of it is told to the caller."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..errors import MLServerError
from ..types import RequestInput


class CodecNotFound(MLServerError):  # noqa: N818
    """No codec is registered for a content type, a payload or a type hint."""

    def __init__(
        self,
        name: str | None = None,
        payload_type: str | None = None,
        is_input: bool = False,
        is_request: bool = False,
    ) -> None:
        place = {
            (True, True): "input request",
            (True, False): "input field",
            (False, True): "output response",
            (False, False): "output field",
        }[is_input, is_request]
        details = [f"name '{name}'"] if name else []
        if payload_type:
            details.append(f"type {payload_type}")
        super().__init__(f"Codec not found for {place} {'with ' if details else ''}{' and '.join(details)}")


class CodecError(MLServerError, ValueError):
    """A payload is not what its codec takes. It is a ValueError too, as codecs raised before they had errors."""

    def __init__(self, msg: str) -> None:
        super().__init__(f"There was an error encoding / decoding the payload: {msg}")


class OutputNotFound(MLServerError):  # noqa: N818
    """A method with ``decode_args`` returned something its return annotation does not announce."""

    def __init__(self, output_idx: int, output_type: type, output_hints: Sequence[Any]) -> None:
        hints = ", ".join(f"'{hint}'" for hint in output_hints)
        super().__init__(
            f"Unexpected output value at position '{output_idx}' ({output_type}). Expected outputs are {hints} outputs."
        )


class InputsNotFound(MLServerError):  # noqa: N818
    """A request holds inputs that the method with ``decode_args`` does not take."""

    def __init__(self, inputs: Iterable[RequestInput], input_hints: Mapping[str, Any]) -> None:
        names = ", ".join(f"'{request_input.name}'" for request_input in inputs)
        available = ", ".join(f"'{name}'" for name in input_hints)
        super().__init__(f"Input {names} was not found. Available inputs are {available}.")
