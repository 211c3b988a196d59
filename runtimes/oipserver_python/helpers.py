"""The functions that models of Triton's Python backend find by name; each answers from what it is given."""

from __future__ import annotations

from typing import Any

from .requests import InferenceRequest
from .responses import InferenceResponse
from .tensors import Tensor


def get_input_tensor_by_name(inference_request: InferenceRequest, name: str) -> Tensor | None:
    """The request's input called ``name``; None where it has none."""
    return next((tensor for tensor in inference_request.inputs() if tensor.name() == name), None)


def get_output_tensor_by_name(inference_response: InferenceResponse, name: str) -> Tensor | None:
    """The response's output called ``name``; None where it has none."""
    return next((tensor for tensor in inference_response.output_tensors() if tensor.name() == name), None)


def get_input_config_by_name(model_config: dict[str, Any], name: str) -> dict[str, Any] | None:
    """What the configuration says of the input called ``name``; None where it says nothing."""
    return next((tensor for tensor in model_config.get("input", ()) if tensor["name"] == name), None)


def get_output_config_by_name(model_config: dict[str, Any], name: str) -> dict[str, Any] | None:
    """What the configuration says of the output called ``name``; None where it says nothing."""
    return next((tensor for tensor in model_config.get("output", ()) if tensor["name"] == name), None)


def using_decoupled_model_transaction_policy(model_config: dict[str, Any]) -> bool:
    """Whether the model answers in any number of pieces."""
    return bool((model_config.get("model_transaction_policy") or {}).get("decoupled", False))
