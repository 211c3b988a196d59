"""A model's configuration in Triton's form: read, checked, written and mapped onto settings; finds no files itself and
knows neither a loaded model nor a wire."""

from __future__ import annotations

from .backends import DEFAULT_FILES, fill_backend, is_ensemble
from .complete import check_by_graph, complete_by_graph, is_scalar, sequence_tensors
from .datatypes import configured_name, protocol_name
from .describe import described
from .files import inside
from .forms import Configuration, Warn, read_json, read_text, to_json, to_message
from .labels import read_labels
from .mapping import configure, model_settings, named, scheduling_settings
from .normal import normalized
from .rules import check_configuration
from .versions import NO_VERSIONS, is_version, served_versions, versions_in
from .warmup import warmup_requests

__all__ = [
    "DEFAULT_FILES",
    "NO_VERSIONS",
    "Configuration",
    "Warn",
    "check_by_graph",
    "check_configuration",
    "complete_by_graph",
    "configure",
    "configured_name",
    "described",
    "fill_backend",
    "inside",
    "is_ensemble",
    "is_scalar",
    "is_version",
    "model_settings",
    "named",
    "normalized",
    "protocol_name",
    "read_json",
    "read_labels",
    "read_text",
    "scheduling_settings",
    "sequence_tensors",
    "served_versions",
    "to_json",
    "to_message",
    "versions_in",
    "warmup_requests",
]
