"""Listening on an address, and saying in one line why that fails; knows no protocol."""

from __future__ import annotations

import socket

from ..errors import UnavailableError

BACKLOG = 2048


class PortInUseError(UnavailableError):
    """The address cannot be listened on."""


def bind(host: str, port: int, setting: str) -> socket.socket:
    """A socket bound to ``host`` and ``port``; ``setting`` is what to change where that fails.

    Raises OIPError with one line that says what is wrong and how to mend it.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        # Bound is not yet owned: another socket may be bound there too, but only one of them can listen.
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise cannot_listen(host, port, setting, error.strerror or str(error)) from None
    listener.setblocking(False)
    return listener


def cannot_listen(host: str, port: int, setting: str, reason: str) -> PortInUseError:
    """The error of an address that cannot be had; ``setting`` is what to change."""
    return PortInUseError(
        f"cannot listen on {host}:{port}: {reason}. "
        f"Stop what uses it, or choose another with --{setting.replace('_', '-')} (0 picks a free one)."
    )
