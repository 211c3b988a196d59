"""The target of a deployment, ``oip://host:port/base?grpc=...&tls=1``, as addresses; opens no connection."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qs, urlsplit

from ...settings.deployments import DeploymentVariables
from .failures import wrong

NAME = "oip"
_DEFAULT_URL = "http://127.0.0.1:8080"
_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})
_QUERY = ("grpc", "tls", "verify")


@dataclass(frozen=True, slots=True)
class Target:
    """Where a server is. ``base`` is the path in front of ``/v2``, ``grpc`` its gRPC address, "" for REST alone.

    ``verify``: whether its certificate must be good, where ``tls``.
    """

    host: str
    port: int
    base: str = ""
    tls: bool = False
    verify: bool = True
    grpc: str = ""
    token: str = ""

    @property
    def url(self) -> str:
        """The address as people write it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http{'s' if self.tls else ''}://{host}:{self.port}{self.base}"

    @property
    def headers(self) -> dict[str, str]:
        """What every request carries."""
        return {"authorization": f"Bearer {self.token}"} if self.token else {}


def read_target(uri: str | None, variables: DeploymentVariables) -> Target:
    """The server that ``uri`` names: ``oip`` for the one of ``$OIP_URL``, ``oip://host:port``, ``oip:http://host:port``.

    Raises MlflowException naming what cannot be understood.
    """
    text = (uri or NAME).strip()
    if text in (NAME, f"{NAME}:", f"{NAME}:/", f"{NAME}://"):
        text = variables.url or _DEFAULT_URL
    parts = _split(text.removeprefix(f"{NAME}:") if text.startswith(f"{NAME}:http") else text)
    if parts.scheme not in (NAME, "http", "https") or not parts.hostname:
        raise wrong(f"target '{uri}' is not understood: expected oip, oip://host:port or oip:http://host:port")
    query = _query(parts, uri)
    tls = parts.scheme == "https" or _switch(query, "tls", uri, default=False)
    return Target(
        parts.hostname,
        parts.port or (443 if tls else 8080),
        parts.path.rstrip("/"),
        tls,
        _switch(query, "verify", uri, default=True),
        _grpc_address(query.get("grpc", ""), parts.hostname, uri),
        variables.token,
    )


def _split(text: str) -> SplitResult:
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
    except ValueError:
        raise wrong(f"target '{text}': the host is not understood: expected a name, 127.0.0.1 or [::1]") from None
    try:
        _ = parts.port
    except ValueError:
        raise wrong(f"target '{text}': the port is no number between 0 and 65535") from None
    return parts


def _query(parts: SplitResult, uri: str | None) -> dict[str, str]:
    query = {key: values[-1] for key, values in parse_qs(parts.query, keep_blank_values=True).items()}
    if unknown := sorted(set(query) - set(_QUERY)):
        raise wrong(f"target '{uri}': unknown option '{unknown[0]}'; known are {', '.join(_QUERY)}")
    return query


def _switch(query: dict[str, str], key: str, uri: str | None, *, default: bool) -> bool:
    word = query.get(key, "").lower()
    if word and word not in _TRUE | _FALSE:
        raise wrong(f"target '{uri}': {key}={query[key]}: expected 1 or 0")
    return word in _TRUE if word else default


def _grpc_address(told: str, host: str, uri: str | None) -> str:
    """``told`` is a port, or host:port."""
    name, colon, port = told.rpartition(":")
    if told and not (port.isdecimal() and (name or not colon)):
        raise wrong(f"target '{uri}': grpc={told}: expected a port, or host:port")
    where = name or (f"[{host}]" if ":" in host else host)
    return f"{where}:{port}" if told else ""
