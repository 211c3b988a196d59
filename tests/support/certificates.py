"""Certificates for tests: an authority, a server on 127.0.0.1, a client, and keys that are no good."""

from __future__ import annotations

from pathlib import Path

import trustme
from cryptography.hazmat.primitives import serialization


class Certificates:
    """Files in ``folder``: ca.pem, server.pem, server.key, client.pem, client.key, other.key, encrypted.key."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = trustme.CA()
        self.authority.cert_pem.write_to_path(self.path("ca.pem"))
        server = self.renew_server()
        client = self.authority.issue_cert("client@example.org")
        self._write(client, "client")
        other = self.authority.issue_cert("127.0.0.1")
        other.private_key_pem.write_to_path(self.path("other.key"))
        key = serialization.load_pem_private_key(server.private_key_pem.bytes(), None)
        encrypted = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
        (folder / "encrypted.key").write_bytes(encrypted)

    def path(self, name: str) -> str:
        """Where a file is."""
        return str(self.folder / name)

    def renew_server(self) -> trustme.LeafCert:
        """A new certificate and key for the server, in place of those before."""
        leaf = self.authority.issue_cert("127.0.0.1", "localhost")
        self._write(leaf, "server")
        return leaf

    def _write(self, leaf: trustme.LeafCert, name: str) -> None:
        chain = b"".join(blob.bytes() for blob in leaf.cert_chain_pems)
        (self.folder / f"{name}.pem").write_bytes(chain)
        leaf.private_key_pem.write_to_path(self.path(f"{name}.key"))

    @property
    def server(self) -> list[str]:
        """Options of a server that has its certificate on every port."""
        return ["--ssl-certfile", self.path("server.pem"), "--ssl-keyfile", self.path("server.key")]
