"""Targets as addresses."""

from __future__ import annotations

import pytest

pytest.importorskip("mlflow", reason="the plugin needs MLflow")
from mlflow.exceptions import MlflowException

from oipserver.integrations.mlflow.target import Target, read_target
from oipserver.settings.deployments import DeploymentVariables, deployment_variables

NONE = DeploymentVariables()


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("oip", Target("127.0.0.1", 8080)),
        ("oip:/", Target("127.0.0.1", 8080)),
        ("oip://models.example", Target("models.example", 8080)),
        ("oip://models.example:9000/base/", Target("models.example", 9000, "/base")),
        ("oip:http://h:1", Target("h", 1)),
        ("oip:https://h", Target("h", 443, tls=True)),
        ("oip://h?tls=1&verify=0", Target("h", 443, tls=True, verify=False)),
        ("oip://h:1?grpc=9001", Target("h", 1, grpc="h:9001")),
        ("oip://h:1?grpc=other:9001", Target("h", 1, grpc="other:9001")),
        ("oip://[::1]:5?grpc=6", Target("::1", 5, grpc="[::1]:6")),
    ],
)
def test_what_a_target_means(uri: str, expected: Target) -> None:
    assert read_target(uri, NONE) == expected


def test_variables() -> None:
    variables = deployment_variables({"OIP_URL": "https://h:7/x", "OIP_TOKEN": "secret", "OIP_MODEL_REPO": "/models"})
    target = read_target("oip", variables)
    assert target.url == "https://h:7/x"
    assert target.headers == {"authorization": "Bearer secret"}
    assert read_target("oip://other", variables).host == "other"
    assert deployment_variables({}) == NONE
    assert read_target("oip", NONE).headers == {}


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("oip://h:port", "the port is no number"),
        ("oip://h:70000", "the port is no number"),
        ("oip://[h", "the host is not understood"),
        ("oip://h?x=1", "unknown option 'x'"),
        ("oip://h?tls=perhaps", "expected 1 or 0"),
        ("oip://h?grpc=:1", "a port, or host:port"),
        ("oip://h?grpc=host", "a port, or host:port"),
        ("triton://h", "is not understood"),
    ],
)
def test_what_is_no_target(uri: str, words: str) -> None:
    with pytest.raises(MlflowException, match=words) as raised:
        read_target(uri, NONE)
    assert raised.value.error_code == "INVALID_PARAMETER_VALUE"
