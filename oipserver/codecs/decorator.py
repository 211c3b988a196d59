"""``decode_args``: predict methods that take and return values, by the type hints of their arguments."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, get_type_hints

from ..errors import InferenceError
from ..types import InferenceRequest, InferenceResponse, Parameters, RequestInput, ResponseOutput
from .base import (
    InputCodec,
    RequestCodec,
    find_input_codec,
    find_input_codec_by_payload,
    find_request_codec,
    find_request_codec_by_payload,
)
from .errors import CodecNotFound, InputsNotFound, OutputNotFound
from .hints import as_hints, unwrap_optional
from .utils import Codec

if TYPE_CHECKING:
    from ..model import MLModel

PredictFunc = Callable[["MLModel", InferenceRequest], Awaitable[InferenceResponse]]

_SCALARS = (bool, int, float, str)
_NOTHING: Any = object()


def _as_list(a: Any) -> list[Any]:
    """The elements of a tuple or of a tuple's hint, nothing for None, else the one value or hint there is."""
    return list(a) if isinstance(a, tuple) else as_hints(a)


def _is_input_codec(codec: Codec) -> bool:
    return issubclass(codec, InputCodec) if isinstance(codec, type) else isinstance(codec, InputCodec)


class SignatureCodec(RequestCodec):
    """Decodes requests into the arguments of a function, and encodes what it returns, by the function's type hints.

    An argument whose hint has an input codec takes the input of its name; one whose hint has a request codec takes all
    inputs that no other argument names. ``bool``, ``int``, ``float`` and ``str`` take the request's parameter of that
    name, ``types.Parameters`` all of them, ``types.InferenceRequest`` the request itself. Raises CodecNotFound for a
    hint that is none of these.
    """

    def __init__(self, predict: Callable[..., Any]) -> None:
        self._input_hints, self._optional = _hints(predict)
        self._output_hints = _as_list(self._input_hints.pop("return", None))
        self._defaults = {
            name: parameter.default
            for name, parameter in inspect.signature(predict).parameters.items()
            if parameter.default is not inspect.Parameter.empty
        }
        self._others = {
            name: hint
            for name, hint in self._input_hints.items()
            if hint in _SCALARS or hint in (Parameters, InferenceRequest)
        }
        self._input_codecs = {
            name: _find_codec(name, hint, is_input=True)
            for name, hint in self._input_hints.items()
            if name not in self._others
        }
        self._output_codecs = [_find_codec(None, hint, is_input=False) for hint in self._output_hints]

    def decode_request(self, request: InferenceRequest) -> dict[str, Any]:  # type: ignore[override]  # of one function
        """The arguments by name. Raises MLServerError for inputs that are missing, unknown or not decodable."""
        arguments: dict[str, Any] = {}
        others: list[RequestInput] = []
        for request_input in request.inputs:
            codec: Any = self._input_codecs.get(request_input.name)
            if codec is None:
                others.append(request_input)
            elif not _is_input_codec(codec):
                raise CodecNotFound(name=request_input.name, is_input=True)
            else:
                arguments[request_input.name] = codec.decode_input(request_input)
        if others:
            name, codec = self._taker_of_the_rest(others)
            arguments[name] = codec.decode_request(InferenceRequest(inputs=others))
        for name, hint in self._others.items():
            value = _from_request(request, name, hint)
            if value is not _NOTHING:
                arguments[name] = value
        if len(arguments) < len(self._input_hints):
            self._fill(arguments)
        return arguments

    def _taker_of_the_rest(self, others: list[RequestInput]) -> tuple[str, Any]:
        for name, codec in self._input_codecs.items():
            if not _is_input_codec(codec):
                return name, codec
        raise InputsNotFound(others, self._input_codecs)

    def _fill(self, arguments: dict[str, Any]) -> None:
        """None for optional arguments that have no default. Raises InferenceError for missing ones."""
        for name in (*self._input_codecs, *self._others):
            if name in arguments or name in self._defaults:
                continue
            if name not in self._optional:
                kind, names = ("Parameter", self._others) if name in self._others else ("Input", self._input_codecs)
                available = ", ".join(f"'{available}'" for available in names)
                raise InferenceError(f"{kind} '{name}' is missing. Expected are {available}.")
            arguments[name] = None

    def encode_response(  # type: ignore[override]  # of one function
        self, model_name: str, payload: Any, model_version: str | None = None
    ) -> InferenceResponse:
        """The response with ``output-0``, ``output-1``, ... Raises OutputNotFound for values not announced."""
        outputs: list[ResponseOutput] = []
        payloads = payload if isinstance(payload, tuple) else () if payload is None else (payload,)
        for index, element in enumerate(payloads):
            outputs += self._encode_output(index, element)
        return InferenceResponse(model_name=model_name, model_version=model_version, outputs=outputs)

    def _encode_output(self, index: int, payload: Any) -> list[ResponseOutput]:
        codec: Any
        if not self._output_hints:
            codec = find_input_codec_by_payload(payload) or find_request_codec_by_payload(payload)
        else:
            codec = self._output_codecs[index] if index < len(self._output_codecs) else None
        if codec is None or not codec.can_encode(payload):
            raise OutputNotFound(index, type(payload), self._output_hints)
        if _is_input_codec(codec):
            return [codec.encode_output(name=f"output-{index}", payload=payload)]
        outputs: list[ResponseOutput] = codec.encode_response(model_name="", payload=payload).outputs
        return outputs


def _hints(predict: Callable[..., Any]) -> tuple[dict[str, Any], frozenset[str]]:
    """Type hints without their None, and the names of those that had one."""
    hints, optional = {}, set()
    for name, hint in get_type_hints(predict).items():
        if name == "self":
            continue
        hints[name], was_optional = unwrap_optional(hint)
        if was_optional:
            optional.add(name)
    return hints, frozenset(optional)


def _find_codec(name: str | None, hint: Any, is_input: bool) -> Codec:
    codec = find_input_codec(type_hint=hint) or find_request_codec(type_hint=hint)
    if codec is None:
        raise CodecNotFound(name=name, payload_type=str(hint), is_input=is_input)
    return codec


def _from_request(request: InferenceRequest, name: str, hint: Any) -> Any:
    """The value of an argument that is no input; _NOTHING where the request does not have it."""
    if hint is InferenceRequest:
        return request
    if hint is Parameters:
        return request.parameters or Parameters()
    value = ((request.parameters.model_extra if request.parameters else None) or {}).get(name, _NOTHING)
    if value is _NOTHING or value is None:
        return _NOTHING
    if hint is float and type(value) is int:
        return float(value)
    if type(value) is not hint:
        raise InferenceError(f"Parameter '{name}' takes {hint.__name__}, got {type(value).__name__}.")
    return value


def decode_args(predict: Callable[..., Any]) -> PredictFunc:
    """Decorator of ``predict``: its arguments are decoded inputs, what it returns is encoded as outputs.

    See SignatureCodec for what an argument may be. The method may be ``async`` or not; a tuple becomes ``output-0``,
    ``output-1``, ... Raises CodecNotFound, when the class is made, for a hint without a codec.
    """
    codec = SignatureCodec(predict)

    @wraps(predict)
    async def decoded(self: MLModel, request: InferenceRequest) -> InferenceResponse:
        result = predict(self, **codec.decode_request(request))
        if inspect.isawaitable(result):
            result = await result
        return codec.encode_response(model_name=self.name, payload=result, model_version=self.version)

    return decoded
