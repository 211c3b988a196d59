"""Triton's command line on ours: each flag sets what it means here, or says that it has no effect."""

from __future__ import annotations

from pathlib import Path

import pytest

from oipserver.cli import options
from oipserver.cli.parser import Parser, UsageError
from oipserver.cli.triton_flags import FLAGS, translate
from oipserver.settings import Settings
from oipserver.settings.sources import option_name


def resolved(*words: str) -> tuple[Settings, Path]:
    parser = Parser("oipserver start", "")
    options.add_settings(parser)
    ours, without_effect = translate(words, parser.switches)
    assert without_effect == []
    found = options.resolve(parser.parse(ours, FLAGS))
    return found.settings, found.root


def test_no_flag_hides_an_option_of_ours() -> None:
    assert not {option_name(field) for field in Settings.model_fields} & set(FLAGS)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("--http-address 127.0.0.1", {"host": "127.0.0.1"}),
        ("--http-port=8000 --grpc-port 8001 --metrics-port 8002", {"http_port": 8000, "grpc_port": 8001}),
        ("--allow-http=false --allow-grpc true", {"allow_http": False, "allow_grpc": True}),
        ("--allow-metrics=0", {"metrics_endpoint": ""}),
        ("--allow-metrics", {"metrics_endpoint": "/metrics"}),
        ("--strict-readiness false", {"strict_readiness": False}),
        ("--exit-on-error=TRUE", {"exit_on_error": True}),
        ("--exit-timeout-secs 7", {"shutdown_timeout": 7.0}),
        ("--log-verbose=1", {"log_level": "debug"}),
        ("--log-verbose 0", {"log_level": "info"}),
        ("--log-verbose ²", {"log_level": "info"}),
        ("--log-info=false", {"log_level": "warning"}),
        ("--log-warning=false", {"log_level": "error"}),
        ("--load-model a --load-model=b", {"load_models": ["a", "b"]}),
        ("--model-control-mode=poll --repository-poll-secs=1.5", {"repository_poll_secs": 1.5}),
        ("--model-control-mode EXPLICIT", {"model_control_mode": "explicit"}),
        ("--disable-auto-complete-config", {"disable_auto_complete_config": True}),
        ("--strict-model-config=true", {"strict_model_config": True}),
        ("--http-max-input-size 1000", {"http_max_body_bytes": 1000}),
        ("--backend-config=onnxruntime,default-max-batch-size=8", {"default_max_batch_size": 8}),
        ("--backend-config=default-max-batch-size=16", {"default_max_batch_size": 16}),
        ("--backend-config python,shm-default-byte-size=1", {}),
        ("--cache-config local,size=1048576", {"cache_enabled": True, "cache_max_bytes": 1048576}),
        ("--response-cache-byte-size=77", {"cache_enabled": True, "cache_max_bytes": 77}),
        ("--model-load-thread-count 2 --model-load-retry-count=3", {"model_load_retry_count": 3}),
        ("--id triton", {"server_name": "triton"}),
        ("--model-config-name=fast", {"model_config_name": "fast"}),
        ("--trace-config triton,file=t.json --trace-config rate=5", {"trace_file": "t.json", "trace_rate": 5}),
        ("--trace-config level=TIMESTAMPS", {"trace_level": ["TIMESTAMPS"]}),
    ],
)
def test_flags_that_set_something(words: str, expected: dict[str, object]) -> None:
    settings, _ = resolved(*words.split())
    assert {field: getattr(settings, field) for field in expected} == expected


def test_repositories(tmp_path: Path) -> None:
    settings, root = resolved("--model-repository", "/a", "--model-repository=/b", "--model-store", "/c")
    assert (root, settings.model_repositories) == (Path("/a"), ["/b", "/c"])
    settings, root = resolved(str(tmp_path), "--model-repository", "/b")
    assert (root, settings.model_repositories) == (tmp_path, ["/b"])


def test_what_has_no_effect_is_named_once() -> None:
    words = ["--rate-limit=off", "DIR", "--http-thread-count", "8", "--rate-limit", "on", "--reuse-grpc-port"]
    assert translate(words, frozenset()) == (["DIR"], ["--rate-limit", "--http-thread-count", "--reuse-grpc-port"])
    assert translate(["--allow-gpu-metrics", "false", "x"], frozenset()) == (["x"], ["--allow-gpu-metrics"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--http-adress=x", "unknown option '--http-adress'; did you mean '--http-address'?"),
        ("--load-modle x", "unknown option '--load-modle'; did you mean '--load-model'?"),
        ("--load-model", "argument --load-model: expected one argument"),
        ("--load-model --id=x", "argument --load-model: expected one argument"),
        ("--strict-readiness=maybe", "argument --strict-readiness: expected true or false, got 'maybe'"),
        ("--allow-metrics=2", "argument --allow-metrics: expected true or false, got '2'"),
        ("--cache-config redis,host=x", "--cache-config redis,host=x: expected local,size=BYTES"),
        ("--trace-config mode=opentelemetry", "--tracing-server"),
    ],
)
def test_mistakes(words: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        resolved(*words.split())
    assert message in str(caught.value)
