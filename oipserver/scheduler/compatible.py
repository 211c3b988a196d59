"""Which requests may run as one: a key per request, equal where they may; knows no queue and copies no data."""

from __future__ import annotations

from collections.abc import Hashable, Mapping

from ..protocol import InferRequest
from ..tensor import Parameters, Tensor

# Parameters that say how a request waits or how its answer is written: no model is meant to see them, so requests may
# differ in them, and a merged request has none of them.
_NOT_FOR_MODELS = frozenset(
    {
        "binary_data",
        "binary_data_output",
        "binary_data_size",
        "classification",
        "priority",
        "shared_memory_byte_size",
        "shared_memory_offset",
        "shared_memory_region",
        "timeout",
    }
)

# Headers that transports, proxies and tracing put on every request: what a model could do with them is not worth
# running every request alone, so requests may differ in them, and a merged request has none of them.
_TRANSPORT_HEADERS = frozenset(
    {
        "accept",
        "accept-encoding",
        "b3",
        "baggage",
        "cache-control",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "date",
        "expect",
        "forwarded",
        "host",
        "inference-header-content-length",
        "keep-alive",
        "pragma",
        "te",
        "traceparent",
        "tracestate",
        "transfer-encoding",
        "user-agent",
        "via",
        "x-amzn-trace-id",
        "x-cloud-trace-context",
        "x-correlation-id",
        "x-real-ip",
        "x-request-id",
    }
)
_NOTHING: frozenset[object] = frozenset()
_TRANSPORT_PREFIXES = ("Ce-", "ce-", "grpc-", "x-b3-", "x-datadog-", "x-envoy-", "x-forwarded-")


def batch_rows(request: InferRequest) -> int:
    """Rows of ``request`` along the first axis; 0 where its inputs do not agree on one and it cannot be merged."""
    rows = 0
    for tensor in request.inputs:
        shape = tensor.shape
        if not shape or not shape[0] or (rows and shape[0] != rows):
            return 0
        rows = shape[0]
    return rows


def batch_key(request: InferRequest, *, headers: bool, parameters: bool = True) -> Hashable | None:
    """What ``request`` has in common with those it may run together with; None where it must run alone.

    Equal keys mean the same inputs (in any order) with the same datatypes, dimensions but the first, and parameters;
    the same requested outputs; with ``parameters``, the same parameters; and, with ``headers``, the same headers apart
    from transport's.
    """
    try:
        inputs = request.inputs
        if len(inputs) == 1:
            parts: tuple[Hashable, ...] = (_input_key(inputs[0]),)
        else:
            parts = tuple([_input_key(tensor) for tensor in sorted(inputs, key=_name)])
        outputs = tuple([(output.name, _frozen(output.parameters)) for output in request.outputs])
        return (
            parts,
            outputs,
            _frozen(request.parameters) if parameters else _NOTHING,
            frozenset(model_headers(request.headers).items()) if headers and request.headers else _NOTHING,
        )
    except TypeError:  # a parameter holds a list or an object: nothing to compare by hash
        return None


def _name(tensor: Tensor) -> str:
    return tensor.name


def _input_key(tensor: Tensor) -> tuple[Hashable, ...]:
    return (tensor.name, tensor.datatype, tensor.shape[1:], tensor.text, _frozen(tensor.parameters))


def _frozen(parameters: Parameters | None) -> Hashable:
    """``parameters`` for models, comparable: 1, 1.0 and True are not the same."""
    if not parameters:
        return _NOTHING
    return frozenset([(k, v.__class__, v) for k, v in parameters.items() if k not in _NOT_FOR_MODELS])


def model_parameters(parameters: Parameters) -> Parameters:
    """What of ``parameters`` is meant for models."""
    return {key: value for key, value in parameters.items() if key not in _NOT_FOR_MODELS}


def model_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """What of ``headers`` a caller set on purpose."""
    return {
        name: value
        for name, value in headers.items()
        if name not in _TRANSPORT_HEADERS and not name.startswith(_TRANSPORT_PREFIXES)
    }
