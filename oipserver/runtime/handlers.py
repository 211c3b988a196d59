"""Custom REST handlers of a model in plain data, so that a call can cross to a worker; knows no web framework."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class HandlerRoute:
    """One custom handler of a model: the method's ``name`` and where it is reached (``path`` may hold ``{names}``)."""

    name: str
    path: str
    method: str = "POST"


@dataclass(frozen=True, slots=True)
class HandlerRequest:
    """A call of a custom handler: what the transport received."""

    name: str
    path_params: dict[str, str] = field(default_factory=dict)
    query: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class HandlerResponse:
    """What the transport is to answer."""

    status: int = 200
    body: bytes = b""
    media_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
