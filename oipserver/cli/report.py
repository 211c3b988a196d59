"""What a started server prints: its models, and where it can be reached; asks nobody, changes nothing."""

from __future__ import annotations

import os
import shutil
import textwrap
from typing import TYPE_CHECKING, TextIO

from .. import __version__
from .table import table

if TYPE_CHECKING:
    from ..app import ModelRow, StartReport

_HEADER = ("MODEL", "VERSION", "STATE", "PLATFORM", "PROVIDER", "EXECUTOR", "LOADED IN")
_BOLD, _DIM, _RED, _GREEN, _PLAIN = "\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[32m", "\x1b[0m"
_ANY_ADDRESS = ("0.0.0.0", "::", "")


def terminal_width() -> int:
    """Columns to print for: the terminal's, between 80 and 120."""
    return min(120, max(80, shutil.get_terminal_size((100, 24)).columns))


def wants_colour(stream: TextIO) -> bool:
    """Whether colours are of use on ``stream``: a terminal whose user has not asked for none."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def start_report(report: StartReport, metrics_endpoint: str, width: int, *, colour: bool) -> str:
    """The models as a table, then why some are not there, then the addresses."""
    paint = _Paint(colour)
    lines = ["", paint(_BOLD, f"oipserver {__version__}"), ""]
    if report.models:
        header, *rows = table(_HEADER, [_cells(row) for row in report.models], width)
        lines.append(paint(_DIM, header))
        for row, line in zip(report.models, rows, strict=True):
            state = row.state.value
            lines.append(line.replace(state, paint(_GREEN if state == "READY" else _RED, state), 1))
    else:
        lines.append("no models loaded")
    for complaint in _complaints(report):
        lines += [paint(_RED, line) for line in textwrap.wrap(complaint, width, subsequent_indent="  ")]
    lines.append("")
    lines += [f"{paint(_DIM, name.ljust(9))}{address}" for name, address in _addresses(report, metrics_endpoint)]
    return "\n".join([*lines, ""])


class _Paint:
    """Puts a colour around a text, or does not."""

    def __init__(self, colour: bool) -> None:
        self._colour = colour

    def __call__(self, code: str, text: str) -> str:
        return f"{code}{text}{_PLAIN}" if self._colour else text


def _cells(row: ModelRow) -> tuple[str, ...]:
    loaded = row.state.value == "READY"
    provider = row.execution_provider.removesuffix("ExecutionProvider")
    seconds = f"{row.load_seconds:.2f} s" if loaded else ""
    return tuple(
        cell or "-" for cell in (row.name, row.version, row.state.value, row.platform, provider, row.executor, seconds)
    )


def _complaints(report: StartReport) -> list[str]:
    """Every reason once: a model's own, and problems that no row tells."""
    reasons = [row.reason for row in report.models if row.reason]
    told = [
        row.reason if f"'{row.name}'" in row.reason else f"model '{row.name}': {row.reason}"
        for row in report.models
        if row.reason
    ]
    return told + [problem for problem in report.problems if not any(reason in problem for reason in reasons)]


def _addresses(report: StartReport, metrics_endpoint: str) -> list[tuple[str, str]]:
    host = "localhost" if report.host in _ANY_ADDRESS else report.host
    host = f"[{host}]" if ":" in host else host
    rest, grpc, metrics = report.http_port, report.grpc_port, report.metrics_port
    addresses = [("REST", f"{report.rest_scheme}://{host}:{rest}")] if rest is not None else []
    addresses += [("gRPC", f"{host}:{grpc}")] if grpc is not None else []
    if metrics is not None:
        addresses.append(("Metrics", f"{report.metrics_scheme}://{host}:{metrics}{metrics_endpoint}"))
    return [*addresses, ("Docs", f"{report.rest_scheme}://{host}:{rest}/v2/docs")] if rest is not None else addresses
