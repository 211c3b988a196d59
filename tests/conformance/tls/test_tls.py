"""TLS and mutual TLS on every port with Triton's clients, certificates that are renewed, and mistakes at the start."""

from __future__ import annotations

import asyncio
import socket
import ssl
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import tritonclient.grpc as grpc_client
import tritonclient.grpc.aio as grpc_aio
import tritonclient.http as http_client
import tritonclient.http.aio as http_aio
from tritonclient.utils import InferenceServerException

from oipserver.errors import InvalidArgumentError
from oipserver.settings import Settings
from oipserver.wire.tls import grpc_files, metrics_files, rest_files
from tests.support.certificates import Certificates
from tests.support.models import write_identity_model
from tests.support.server_process import ServerProcess


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    write_identity_model(root / "m", "FP32", 1)
    return root


@pytest.fixture(scope="module")
def server(models: Path, made: Certificates) -> Iterator[ServerProcess]:
    with ServerProcess(models, *made.server) as process:
        yield process


@pytest.fixture(scope="module")
def mutual(models: Path, made: Certificates) -> Iterator[ServerProcess]:
    with ServerProcess(models, *made.server, "--ssl-ca-certs", made.path("ca.pem")) as process:
        yield process


def trusting(made: Certificates, *, client: bool = False) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=made.path("ca.pem"))
    if client:
        context.load_cert_chain(made.path("client.pem"), made.path("client.key"))
    return context


def http(server: ServerProcess, made: Certificates, *, client: bool = False) -> Any:
    return http_client.InferenceServerClient(
        server.http, ssl=True, ssl_context_factory=lambda: trusting(made, client=client), network_timeout=20
    )


def rpc(server: ServerProcess, made: Certificates, *, client: bool = False) -> Any:
    own = {"private_key": made.path("client.key"), "certificate_chain": made.path("client.pem")} if client else {}
    return grpc_client.InferenceServerClient(server.grpc, ssl=True, root_certificates=made.path("ca.pem"), **own)


def echoes(module: Any, client: Any, size: int) -> bool:
    data = np.arange(size, dtype=np.float32)
    item = module.InferInput("x", [size], "FP32")
    item.set_data_from_numpy(data)
    return bool((client.infer("m", [item]).as_numpy("y") == data).all())


# Sizes around those at which bodies and answers take other ways, the last well over what a socket holds.
@pytest.mark.process
@pytest.mark.parametrize("size", [4, 20_000, 100_000, 5_000_000])
def test_tensors_of_all_sizes_over_one_connection(server: ServerProcess, made: Certificates, size: int) -> None:
    with http(server, made) as client:
        assert all(echoes(http_client, client, size) for _ in range(3))
    with rpc(server, made) as client:
        assert all(echoes(grpc_client, client, size) for _ in range(3))


@pytest.mark.process
def test_asyncio_clients(server: ServerProcess, made: Certificates) -> None:
    async def main() -> None:
        async with http_aio.InferenceServerClient(server.http, ssl=True, ssl_context=trusting(made)) as client:
            assert await client.is_server_ready()
        roots = made.path("ca.pem")
        async with grpc_aio.InferenceServerClient(server.grpc, ssl=True, root_certificates=roots) as client:
            assert await client.is_server_ready()

    asyncio.run(main())


@pytest.mark.process
def test_the_metrics_port_and_the_report_are_encrypted_too(server: ServerProcess, made: Certificates) -> None:
    page = httpx.get(f"https://{server.metrics}/metrics", verify=trusting(made))
    assert page.status_code == 200
    assert f"https://{server.http}" in server.output
    assert f"https://{server.metrics}/metrics" in server.output


@pytest.mark.process
def test_plain_clients_and_old_protocols_are_refused(server: ServerProcess, made: Certificates) -> None:
    with pytest.raises(httpx.HTTPError):
        httpx.get(f"http://{server.http}/v2/health/live", timeout=20)
    with grpc_client.InferenceServerClient(server.grpc) as client, pytest.raises(InferenceServerException):
        client.is_server_live(client_timeout=2)
    old = trusting(made)
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        old.minimum_version, old.maximum_version = ssl.TLSVersion.MINIMUM_SUPPORTED, ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    host, port = server.http.split(":")
    with socket.create_connection((host, int(port))) as raw, pytest.raises(ssl.SSLError):
        old.wrap_socket(raw, server_hostname=host)


@pytest.mark.process
def test_mutual(mutual: ServerProcess, made: Certificates) -> None:
    with http(mutual, made, client=True) as client:
        assert echoes(http_client, client, 100_000)
    with rpc(mutual, made, client=True) as client:
        assert echoes(grpc_client, client, 100_000)
    assert httpx.get(f"https://{mutual.metrics}/metrics", verify=trusting(made, client=True)).status_code == 200
    with pytest.raises(httpx.HTTPError):
        httpx.get(f"https://{mutual.http}/v2", verify=trusting(made))
    with pytest.raises(httpx.HTTPError):
        httpx.get(f"https://{mutual.metrics}/metrics", verify=trusting(made))
    with rpc(mutual, made) as client, pytest.raises(InferenceServerException):
        client.is_server_live(client_timeout=2)


@pytest.mark.process
def test_tritons_flags_encrypt_grpc_alone(models: Path, made: Certificates) -> None:
    files = ["--grpc-server-cert", made.path("server.pem"), "--grpc-server-key", made.path("server.key")]
    root = ["--grpc-root-cert", made.path("ca.pem")]
    with ServerProcess(models, "--grpc-use-ssl", "--grpc-use-ssl-mutual", *files, *root) as server:
        assert server.get("/v2/health/ready").status_code == 200
        with rpc(server, made, client=True) as client:
            assert client.is_server_ready()
        with rpc(server, made) as client, pytest.raises(InferenceServerException):
            client.is_server_live(client_timeout=2)


def serial(address: str, made: Certificates, alpn: str) -> int:
    """The number of the certificate that a port shows now."""
    host, port = address.split(":")
    context = trusting(made)
    context.set_alpn_protocols([alpn])
    with (
        socket.create_connection((host, int(port))) as raw,
        context.wrap_socket(raw, server_hostname=host) as connection,
    ):
        told = connection.getpeercert()
        assert told is not None
        return int(str(told["serialNumber"]), 16)


@pytest.mark.process
def test_renewed_certificates_are_used_and_broken_ones_are_not(models: Path, tmp_path: Path) -> None:
    made = Certificates(tmp_path)
    with ServerProcess(models, *made.server) as server:

        def shown() -> list[int]:
            ports = ((server.http, "http/1.1"), (server.grpc, "h2"), (server.metrics, "http/1.1"))
            return [serial(address, made, alpn) for address, alpn in ports]

        with http(server, made) as client:
            assert client.is_server_ready()
            first = shown()
            assert len(set(first)) == 1
            made.renew_server()
            second = shown()
            assert len(set(second)) == 1
            assert second != first
            (tmp_path / "server.key").write_text("nothing")
            assert shown() == second
            server.wait_for_output("a changed certificate is not used: ssl_certfile")
            assert client.is_server_ready()  # an open connection goes on


MISTAKES: dict[str, tuple[Callable[[Certificates], list[str]], str]] = {
    "no such file": (lambda made: ["--ssl-certfile", made.path("nope.pem")], "ssl_certfile: cannot read"),
    "another key": (
        lambda made: ["--ssl-certfile", made.path("server.pem"), "--ssl-keyfile", made.path("other.key")],
        "does not belong to the certificate",
    ),
    "an encrypted key": (
        lambda made: ["--ssl-certfile", made.path("server.pem"), "--ssl-keyfile", made.path("encrypted.key")],
        "is encrypted",
    ),
    "no certificate": (lambda made: ["--ssl-certfile", made.path("server.key")], "hold no certificate and key"),
    "no authorities": (
        lambda made: [*made.server, "--ssl-ca-certs", made.path("server.key")],
        "ssl_ca_certs: .* holds no certificates",
    ),
}


@pytest.mark.process
@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_told_at_the_start(models: Path, made: Certificates, mistake: str) -> None:
    options, message = MISTAKES[mistake]
    server = ServerProcess(models, *options(made))
    server.spawn()
    assert server.wait() == 1
    server.wait_for_output(message)
    assert "Traceback" not in server.output


@pytest.mark.parametrize(
    ("settings", "encrypted"),
    [
        ({}, (False, False, False)),
        ({"ssl_certfile": "c"}, (True, True, True)),
        ({"ssl_certfile": "c", "metrics_use_ssl": False}, (True, True, False)),
        ({"ssl_certfile": "c", "grpc_use_ssl": False}, (True, False, True)),
        ({"grpc_server_cert": "c"}, (False, True, False)),
    ],
)
def test_which_ports_are_encrypted(settings: dict[str, Any], encrypted: tuple[bool, ...]) -> None:
    found = Settings(**settings)
    assert tuple(files(found) is not None for files in (rest_files, grpc_files, metrics_files)) == encrypted


@pytest.mark.parametrize(
    ("settings", "mutual"),
    [
        ({"ssl_certfile": "c", "ssl_ca_certs": "a"}, True),
        ({"grpc_server_cert": "c", "grpc_root_cert": "a"}, True),
        ({"grpc_use_ssl": True, "grpc_server_cert": "c", "grpc_root_cert": "a"}, False),
        ({"grpc_use_ssl": True, "grpc_server_cert": "c", "grpc_root_cert": "a", "grpc_use_ssl_mutual": True}, True),
        ({"ssl_certfile": "c", "ssl_ca_certs": "a", "grpc_use_ssl_mutual": False}, False),
    ],
)
def test_whether_grpc_clients_need_a_certificate(settings: dict[str, Any], mutual: bool) -> None:
    files = grpc_files(Settings(**settings))
    assert files is not None
    assert (files.authorities is not None) is mutual


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"ssl_keyfile": "k"}, "ssl_keyfile is set, but ssl_certfile is not"),
        ({"ssl_ca_certs": "a"}, "ssl_ca_certs is set, but ssl_certfile is not"),
        ({"grpc_use_ssl": True}, "neither grpc_server_cert nor ssl_certfile"),
        ({"grpc_server_cert": "c", "grpc_use_ssl_mutual": True}, "neither grpc_root_cert nor ssl_ca_certs"),
        ({"metrics_use_ssl": True}, "metrics_use_ssl is set"),
    ],
)
def test_settings_that_do_not_go_together(settings: dict[str, Any], message: str) -> None:
    def check() -> None:
        for files in (rest_files, grpc_files, metrics_files):
            files(Settings(**settings))

    with pytest.raises(InvalidArgumentError, match=message):
        check()
