"""How the gRPC port speaks HTTP/2: limits, keep-alive, compression and TLS as the settings say; knows no call."""

from __future__ import annotations

from typing import Any

import grpc

from ...errors import InvalidArgumentError
from ...settings import Settings
from ..tls import Certificates, grpc_files

_UNLIMITED = -1
_COMPRESSION = {"none": 0, "low": 1, "medium": 2, "high": 3}


def channel_options(settings: Settings) -> list[tuple[str, Any]]:
    """The server's channel arguments."""
    limit = settings.grpc_max_message_length or _UNLIMITED
    options: list[tuple[str, Any]] = [
        ("grpc.max_receive_message_length", limit),
        ("grpc.max_send_message_length", limit),
        ("grpc.so_reuseport", 0),  # otherwise a second server on the port would take half of the connections
        ("grpc.keepalive_time_ms", settings.grpc_keepalive_time),
        ("grpc.keepalive_timeout_ms", settings.grpc_keepalive_timeout),
        ("grpc.keepalive_permit_without_calls", int(settings.grpc_keepalive_permit_without_calls)),
        ("grpc.http2.max_pings_without_data", settings.grpc_http2_max_pings_without_data),
        (
            "grpc.http2.min_recv_ping_interval_without_data_ms",
            settings.grpc_http2_min_recv_ping_interval_without_data,
        ),
        ("grpc.http2.max_ping_strikes", settings.grpc_http2_max_ping_strikes),
    ]
    if settings.grpc_max_connection_age:
        options.append(("grpc.max_connection_age_ms", settings.grpc_max_connection_age))
    if settings.grpc_max_connection_age_grace:
        options.append(("grpc.max_connection_age_grace_ms", settings.grpc_max_connection_age_grace))
    if level := _COMPRESSION[settings.grpc_infer_response_compression_level]:
        options.append(("grpc.default_compression_level", level))
    return options


def credentials(settings: Settings) -> grpc.ServerCredentials | None:
    """What the port proves itself with, read again when its files change; None where it is not encrypted.

    Raises InvalidArgumentError.
    """
    files = grpc_files(settings)
    if files is None:
        return None
    certificates = Certificates(files)

    def configuration() -> grpc.ServerCertificateConfiguration:
        key, chain, authorities = certificates.pem()
        return grpc.ssl_server_certificate_configuration([(key, chain)], authorities)

    def refreshed() -> grpc.ServerCertificateConfiguration | None:
        """Called in every handshake; None leaves everything as it is."""
        try:
            return configuration() if certificates.refresh() else None
        except InvalidArgumentError:  # gone between being checked and being read: the next handshake tries again
            return None

    return grpc.dynamic_ssl_server_credentials(
        configuration(), refreshed, require_client_authentication=files.authorities is not None
    )
