"""Certificates of a port: read, checked, and read again when their files change; knows no protocol."""

from __future__ import annotations

import logging
import os
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from ..errors import InvalidArgumentError
from ..settings import Settings

_log = logging.getLogger(__name__)

#: Seconds a client may take to shake hands, and to say good-bye.
HANDSHAKE_SECONDS = 15.0
GOODBYE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Where certificate, key and authorities of a port are, with the settings that say so. Clients need a certificate
    of ``authorities`` where those are given."""

    certificate: str
    key: str
    authorities: str | None
    certificate_setting: str
    key_setting: str
    authorities_setting: str

    @property
    def paths(self) -> list[str]:
        """Every file there is."""
        return [path for path in (self.certificate, self.key, self.authorities) if path]


def rest_files(settings: Settings) -> TlsFiles | None:
    """The files of the REST port; None where it speaks plain HTTP. Raises InvalidArgumentError."""
    if settings.ssl_certfile is None:
        for name in ("ssl_keyfile", "ssl_ca_certs"):
            if getattr(settings, name) is not None:
                raise InvalidArgumentError(f"{name} is set, but ssl_certfile is not: TLS needs a certificate")
        return None
    return TlsFiles(
        settings.ssl_certfile,
        settings.ssl_keyfile or settings.ssl_certfile,
        settings.ssl_ca_certs,
        "ssl_certfile",
        "ssl_keyfile" if settings.ssl_keyfile else "ssl_certfile",
        "ssl_ca_certs",
    )


def metrics_files(settings: Settings) -> TlsFiles | None:
    """The files of the metrics port; None where it speaks plain HTTP. Raises InvalidArgumentError."""
    files = rest_files(settings)
    if settings.metrics_use_ssl and files is None:
        raise InvalidArgumentError("metrics_use_ssl is set, but ssl_certfile is not: TLS needs a certificate")
    return files if settings.metrics_use_ssl is not False else None


def grpc_files(settings: Settings) -> TlsFiles | None:
    """The files of the gRPC port; None where it is not encrypted. Raises InvalidArgumentError."""
    common = rest_files(settings)
    wanted = settings.grpc_use_ssl
    mutual = settings.grpc_use_ssl_mutual
    if wanted is False or (wanted is None and not mutual and settings.grpc_server_cert is None and common is None):
        return None
    own = settings.grpc_server_cert is not None
    certificate = settings.grpc_server_cert or settings.ssl_certfile
    if certificate is None:
        raise InvalidArgumentError("grpc_use_ssl is set, but neither grpc_server_cert nor ssl_certfile is")
    key = (settings.grpc_server_key or certificate) if own else (settings.ssl_keyfile or certificate)
    authorities = settings.grpc_root_cert or settings.ssl_ca_certs
    if mutual is None:
        # Triton's --grpc-use-ssl with --grpc-root-cert asks no client for a certificate: that needs its own flag.
        mutual = settings.ssl_ca_certs is not None or (authorities is not None and wanted is None)
    if mutual and authorities is None:
        raise InvalidArgumentError("grpc_use_ssl_mutual is set, but neither grpc_root_cert nor ssl_ca_certs is")
    return TlsFiles(
        certificate,
        key,
        authorities if mutual else None,
        "grpc_server_cert" if own else "ssl_certfile",
        ("grpc_server_key" if own else "ssl_keyfile") if key != certificate else "the certificate's file",
        "grpc_root_cert" if settings.grpc_root_cert else "ssl_ca_certs",
    )


class Certificates:
    """What ``files`` hold. Connections that come after the files changed get the new ones; files that are broken then
    are told in the log, and the old ones stay in use.

    Raises InvalidArgumentError that names the setting and what is wrong with its file.
    """

    def __init__(self, files: TlsFiles) -> None:
        self.files = files
        self._seen = self._stamps()
        #: For servers of Python's own; it follows the files by itself.
        self.context = self._current = _context(files)
        self.context.sni_callback = self._choose

    def _stamps(self) -> list[tuple[int, int]]:
        stamps = []
        for path in self.files.paths:
            try:
                told = os.stat(path)
            except OSError:
                stamps.append((0, 0))
            else:
                stamps.append((told.st_mtime_ns, told.st_size))
        return stamps

    def refresh(self) -> bool:
        """Read the files again where they have changed; whether there is something new now. For any thread."""
        stamps = self._stamps()
        if stamps == self._seen:
            return False
        self._seen = stamps
        try:
            self._current = _context(self.files)
        except InvalidArgumentError as error:
            _log.warning("a changed certificate is not used: %s", error.message)
            return False
        _log.info("%s has changed: new connections get it", self.files.certificate)
        return True

    def _choose(self, connection: ssl.SSLObject | ssl.SSLSocket, _: str | None, __: ssl.SSLContext) -> None:
        """Called in every handshake."""
        self.refresh()
        if self._current is not self.context:
            connection.context = self._current

    def pem(self) -> tuple[bytes, bytes, bytes | None]:
        """Key, certificate chain and authorities as they are in the files now. Raises InvalidArgumentError."""
        files = self.files
        return (
            _read(files.key, files.key_setting),
            _read(files.certificate, files.certificate_setting),
            _read(files.authorities, files.authorities_setting) if files.authorities else None,
        )


def _read(path: str, setting: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise InvalidArgumentError(f"{setting}: cannot read {path}: {error.strerror}") from None


def _context(files: TlsFiles) -> ssl.SSLContext:
    """A context of ``files``. Raises InvalidArgumentError."""
    for path, setting in (
        (files.certificate, files.certificate_setting),
        (files.key, files.key_setting),
        (files.authorities, files.authorities_setting),
    ):
        if path:
            _read(path, setting)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(files.certificate, files.key, password=_encrypted)
    except _EncryptedError:
        raise InvalidArgumentError(
            f"{files.key_setting}: the key in {files.key} is encrypted; give one without a password"
        ) from None
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise InvalidArgumentError(
                f"{files.key_setting}: the key in {files.key} does not belong to the certificate in {files.certificate}"
            ) from None
        raise InvalidArgumentError(
            f"{files.certificate_setting}: {files.certificate} and {files.key} hold no certificate and key in PEM form "
            f"({error.reason or error})"
        ) from None
    if files.authorities:
        try:
            context.load_verify_locations(files.authorities)
        except ssl.SSLError as error:
            raise InvalidArgumentError(
                f"{files.authorities_setting}: {files.authorities} holds no certificates in PEM form "
                f"({error.reason or error})"
            ) from None
        context.verify_mode = ssl.CERT_REQUIRED
    return context


class _EncryptedError(Exception):
    """The key asks for a password."""


def _encrypted() -> NoReturn:
    raise _EncryptedError
