"""Settings of the server: every field, its default and its meaning; reads no file and no environment."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict, Field

from .base import SettingsModel

ModelControlMode = Literal["auto", "none", "poll", "explicit"]
StreamDialect = Literal["triton", "mlserver"]
TraceLevel = Literal["OFF", "TIMESTAMPS", "TENSORS"]
LogFormat = Literal["default", "ISO8601"]
CompressionLevel = Literal["none", "low", "medium", "high"]


class CORSSettings(SettingsModel):
    """Cross-origin access of browsers to the REST endpoints."""

    model_config = ConfigDict(extra="forbid")

    allow_origins: list[str] = Field(default_factory=list, description="Origins that may call, or ['*'].")
    allow_origin_regex: str | None = Field(None, description="A regular expression origins may match instead.")
    allow_credentials: bool = Field(False, description="Let browsers send cookies and authorization.")
    allow_methods: list[str] = Field(default_factory=lambda: ["GET"], description="Methods that may be used.")
    allow_headers: list[str] = Field(default_factory=list, description="Request headers that may be sent.")
    expose_headers: list[str] = Field(default_factory=list, description="Response headers scripts may read.")
    max_age: int = Field(600, ge=0, description="Seconds a browser may remember the answer to its preflight.")


class Settings(SettingsModel):
    """Everything that can be set for a server. Field names are the keys of ``settings.json``; in the environment each
    is ``OIPSERVER_<NAME>`` (or ``MLSERVER_<NAME>``), on the command line ``--<name-with-dashes>``."""

    model_config = ConfigDict(extra="ignore", validate_default=False, protected_namespaces=())

    # -- who we are ------------------------------------------------------------------------------------------------
    server_name: str = Field("oipserver", description="Name in server metadata; some clients want 'triton'.")
    server_version: str | None = Field(None, description="Version in server metadata; default: the package's.")
    extensions: list[str] = Field(default_factory=list, description="Further extension names to list in metadata.")

    # -- where we listen -------------------------------------------------------------------------------------------
    host: str = Field("0.0.0.0", description="Address all servers listen on.")
    allow_http: bool = Field(True, description="Serve REST.")
    allow_grpc: bool = Field(True, description="Serve gRPC.")
    http_port: int = Field(8080, ge=0, le=65535, description="REST port; 0 picks a free one.")
    grpc_port: int = Field(8081, ge=0, le=65535, description="gRPC port; 0 picks a free one.")
    metrics_port: int = Field(8082, ge=0, le=65535, description="Prometheus port; 0 picks a free one.")
    root_path: str = Field("", description="Path prefix that a proxy in front strips.")
    cors_settings: CORSSettings | None = Field(None, description="Cross-origin settings; none: browsers may not call.")
    gzip_enabled: bool = Field(True, description="Compress REST answers for clients that accept it.")
    http_max_body_bytes: int = Field(1 << 30, gt=0, description="Largest REST body, compressed or not, in bytes.")
    http_max_chunks: int = Field(65536, gt=0, description="Most pieces of a chunked request body.")
    json_nan_as_null: bool = Field(False, description="Write NaN and infinities as null instead of as literals.")
    grpc_max_message_length: int | None = Field(None, gt=0, description="Largest gRPC message in bytes; none: 2 GiB.")
    grpc_threads: int = Field(256, gt=0, description="Most gRPC calls answered at once; each holds a thread.")
    grpc_stream_dialect: StreamDialect = Field(
        "triton",
        description="Answers on ModelStreamInfer: triton, ModelStreamInferResponse with errors inside; mlserver, bare "
        "ModelInferResponse, where an error ends the stream.",
    )
    grpc_typed_answers: bool = Field(
        False, description="Answer ModelInfer in typed contents where its request came in them, as MLServer does."
    )
    allow_client_shm: bool = Field(
        True, description="Clients may register shared memory of this machine, which the server then reads and writes."
    )
    http_header_forward_pattern: str = Field(
        "", description="Headers whose whole name matches this expression become parameters of REST requests."
    )
    grpc_header_forward_pattern: str = Field(
        "", description="Metadata whose whole key matches this expression become parameters of gRPC requests."
    )
    http_restricted_api: list[str] = Field(
        default_factory=list, description="APIs that REST callers need a header for: API[,API]:HEADER=VALUE."
    )
    grpc_restricted_protocol: list[str] = Field(
        default_factory=list, description="APIs that gRPC callers need metadata for: API[,API]:KEY=VALUE."
    )
    mlflow_routes: bool = Field(
        True, description="Answer as MLflow's scoring server does: /invocations, /ping, /health and /version."
    )
    mlflow_default_model: str = Field(
        "", description="Model that /invocations asks; empty: the only one. /models/NAME/invocations asks any."
    )
    mlflow_request_timeout: float = Field(
        60.0, gt=0, description="Seconds /invocations may take before it answers 504."
    )

    # -- TLS and connections ---------------------------------------------------------------------------------------
    ssl_certfile: str | None = Field(None, description="Certificate chain (PEM) of this server: TLS on every port.")
    ssl_keyfile: str | None = Field(None, description="Its private key (PEM, not encrypted); none: in ssl_certfile.")
    ssl_ca_certs: str | None = Field(
        None, description="Authorities (PEM) that callers need a certificate of: mutual TLS on every port."
    )
    metrics_use_ssl: bool | None = Field(None, description="TLS on the metrics port; none: where ssl_certfile is set.")
    grpc_use_ssl: bool | None = Field(None, description="TLS on the gRPC port; none: where there is a certificate.")
    grpc_use_ssl_mutual: bool | None = Field(
        None, description="Callers over gRPC need a certificate; none: where grpc_root_cert is set."
    )
    grpc_server_cert: str | None = Field(None, description="Certificate chain of the gRPC port; none: ssl_certfile.")
    grpc_server_key: str | None = Field(None, description="Its private key; none: ssl_keyfile.")
    grpc_root_cert: str | None = Field(None, description="Authorities of gRPC callers; none: ssl_ca_certs.")
    grpc_keepalive_time: int = Field(7_200_000, gt=0, description="Idle milliseconds before a gRPC client is pinged.")
    grpc_keepalive_timeout: int = Field(20_000, gt=0, description="Milliseconds such a ping may go unanswered.")
    grpc_keepalive_permit_without_calls: bool = Field(False, description="Ping gRPC clients without calls too.")
    grpc_http2_max_pings_without_data: int = Field(2, ge=0, description="Pings sent without data; 0: any number.")
    grpc_http2_min_recv_ping_interval_without_data: int = Field(
        300_000, ge=0, description="Milliseconds that must lie between pings of a gRPC client without data."
    )
    grpc_http2_max_ping_strikes: int = Field(
        2, ge=0, description="Pings that may come too early before the connection is closed; 0: any number."
    )
    grpc_max_connection_age: int = Field(0, ge=0, description="Milliseconds a gRPC connection may live; 0: no bound.")
    grpc_max_connection_age_grace: int = Field(
        0, ge=0, description="Milliseconds its calls get to finish behind that; 0: no bound."
    )
    grpc_infer_response_compression_level: CompressionLevel = Field(
        "none", description="How much to compress gRPC answers, where the client can read that."
    )

    # -- models ----------------------------------------------------------------------------------------------------
    model_repository_root: str = Field(".", description="Folder that is searched for models.")
    model_repositories: list[str] = Field(
        default_factory=list, description="Further folders that are searched; no model may be in two of them."
    )
    model_repository_implementation: str | None = Field(
        None, description="Import path of a class with list() and find(); none: MLServer folders and bare .onnx files."
    )
    model_repository_implementation_args: dict[str, Any] = Field(
        default_factory=dict, description="Keyword arguments of that class, beside root."
    )
    load_models_at_startup: bool = Field(True, description="Load every model found when starting.")
    model_control_mode: ModelControlMode = Field(
        "auto",
        description="auto: load everything, clients may load and unload; none: load everything, models stay fixed; "
        "poll: load everything, and follow what changes in the repository; explicit: load only load_models, clients "
        "load the rest.",
    )
    repository_poll_secs: float = Field(
        15.0, gt=0, description="Seconds between two looks at the repository in mode poll."
    )
    load_models: list[str] = Field(
        default_factory=list, description="Models to load at start in explicit mode; '*': all."
    )
    disable_auto_complete_config: bool = Field(
        False, description="Take configurations of Triton's layout as they are: complete none, guess no backend."
    )
    strict_model_config: bool = Field(False, description="Triton's former name of disable_auto_complete_config.")
    default_max_batch_size: int = Field(
        4, ge=0, description="max_batch_size that completing gives a model in Triton's layout that can be batched."
    )
    model_config_name: str | None = Field(
        None, description="Use configs/<name>.pbtxt of models in Triton's layout where there is one."
    )
    exit_on_error: bool = Field(False, description="Stop when any model fails to load, instead of serving the others.")
    strict_readiness: bool = Field(
        True, description="Ready only while every model that should serve can; otherwise as soon as the server runs."
    )
    max_uploaded_bytes: int = Field(
        4 << 30, ge=0, description="Most bytes of model files that clients may upload, all models together; 0: none."
    )
    pull_uri_schemes: list[str] = Field(
        default_factory=list,
        description="Schemes of URIs (models, runs) that clients may have MLflow models fetched from; none: refused.",
    )
    model_load_thread_count: int = Field(4, gt=0, description="Most loads at a time at start and in mode poll.")
    model_load_retry_count: int = Field(0, ge=0, description="Times that a load that failed is tried again at once.")
    model_load_timeout: float = Field(600.0, gt=0, description="Seconds a model may take to load in a worker.")

    # -- execution -------------------------------------------------------------------------------------------------
    parallel_workers: int | None = Field(
        None, ge=0, description="Worker processes for Python models; 0: everything in the server's process; default 1."
    )
    parallel_workers_timeout: float = Field(
        5.0, ge=0, description="Seconds a worker may take to stop before it is killed."
    )
    worker_devices: list[str] = Field(
        default_factory=list, description="CUDA_VISIBLE_DEVICES of each worker, in turn; empty: as inherited."
    )
    worker_heartbeat_timeout: float = Field(
        60.0,
        gt=0,
        description="Seconds without a sign of life from a busy worker before it counts as hung; see the docs.",
    )
    worker_retry: bool = Field(True, description="Run a request again, once, when the worker executing it dies.")
    worker_max_deaths: int = Field(
        5, gt=0, description="Deaths within worker_deaths_window that make its models unavailable."
    )
    worker_deaths_window: float = Field(60.0, gt=0, description="Seconds over which worker deaths are counted.")
    environments_dir: str = Field(".envs", description="Where packed environments of models are unpacked.")
    max_batch_size: int | None = Field(
        None, ge=0, description="Default rows of a batch for models that do not say; 0: off."
    )
    max_batch_time: float | None = Field(None, ge=0, description="Default longest wait, in seconds, to fill a batch.")
    max_queue_size: int = Field(1024, gt=0, description="Most requests that wait for one model; more get 429 at once.")
    cache_enabled: bool = Field(False, description="Give kept answers again, for models with cache_enabled.")
    cache_size: int = Field(100, gt=0, description="Most answers that are kept, of all models together.")
    cache_max_bytes: int = Field(256 << 20, gt=0, description="Most bytes of answers that are kept.")
    shutdown_timeout: float = Field(30.0, ge=0, description="Seconds in-flight requests get to finish when stopping.")

    # -- observability ---------------------------------------------------------------------------------------------
    debug: bool = Field(False, description="Debug logs and access logs.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least severe messages to log.")
    use_structured_logging: bool = Field(False, description="Log one JSON object per line.")
    logging_settings: str | dict[str, Any] | None = Field(
        None, description="A logging configuration, or a path to one."
    )
    metrics_endpoint: str | None = Field("/metrics", description="Path of the metrics; none: no metrics at all.")
    metrics_rest_server_prefix: str = Field("rest_server", description="Prefix of the REST server's metric names.")
    generate_ids: bool = Field(False, description="Give requests without an id one, which the answer then has too.")
    cloudevents_enabled: bool = Field(
        False, description="CloudEvents headers (Ce-Id, Ce-Type, ...) for models and on answers, in MLServer's names."
    )
    tracing_server: str | None = Field(
        None, description="OpenTelemetry collector (OTLP over gRPC, host:port) that gets spans; none: no tracing."
    )
    triton_metrics: bool = Field(True, description="Tell metrics in Triton's names (nv_*) as well.")
    log_file: str = Field("", description="File that the log is added to; empty: standard error.")
    log_format: LogFormat = Field("default", description="How log lines tell the time: in local time, or ISO 8601 UTC.")
    trace_file: str = Field("", description="File that traces in Triton's form are written to; empty: no such traces.")
    trace_level: list[TraceLevel] = Field(["OFF"], description="What traces tell: TIMESTAMPS, TENSORS, or OFF.")
    trace_rate: int = Field(1000, ge=0, description="Every n-th request is traced; 0: none.")
    trace_count: int = Field(-1, ge=-1, description="Traces to be made in all; -1: no bound.")
    trace_log_frequency: int = Field(
        0, ge=0, description="Traces of one numbered file, trace_file.0 and so on; 0: all in trace_file."
    )
