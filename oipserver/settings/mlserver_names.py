"""Settings that MLServer has and this server has not, each with the sentence its users deserve; knows nothing else."""

from __future__ import annotations

_KAFKA = "this server speaks no Kafka"
_METRICS = "metrics of workers travel without a folder"

#: Keys of ``settings.json``, and why they have no effect; the last ones are a later MLServer's.
SERVER: dict[str, str] = {
    "metrics_dir": _METRICS,
    "kafka_enabled": _KAFKA,
    "kafka_servers": _KAFKA,
    "kafka_topic_input": _KAFKA,
    "kafka_topic_output": _KAFKA,
    "_custom_rest_server_settings": "the REST server is set by this server's own settings",
    "_custom_metrics_server_settings": "the metrics server is set by this server's own settings",
    "_custom_grpc_server_settings": "the gRPC server is set by this server's own settings",
    "access_log": "access logs come with debug",
    "empty_registry_readiness": "this server is ready when every model is",
    "model_operation_timeout": "set model_load_timeout",
}

#: Environment variables (without prefix) that are set inside ``cors_settings`` here.
CORS = frozenset(
    {
        "allow_origins",
        "allow_origin_regex",
        "allow_credentials",
        "allow_methods",
        "allow_headers",
        "expose_headers",
        "max_age",
    }
)

#: Keys of ``model-settings.json``, and why they have no effect.
MODEL: dict[str, str] = {"warm_workers": "workers are always warm"}


def no_effect(key: str, reason: str) -> str:
    """The warning for one of them."""
    return f"'{key}' is known from MLServer and has no effect here: {reason}"
