"""``oipserver config show``: every setting, its value, and where that came from."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

from ..settings import Resolved
from .options import EPILOG, add_settings, resolve
from .parser import Parser, UsageError, unknown
from .report import terminal_width
from .table import table


def run(arguments: Sequence[str]) -> int:
    """Run the command; returns the exit code. Raises OIPError and UsageError."""
    parser = Parser("oipserver config show", "Show every setting, its value, and where that value comes from.", EPILOG)
    parser.add_argument("-o", "--output", choices=("table", "json"), default="table", help="how to print [table]")
    add_settings(parser)
    if not arguments or arguments[0] in ("-h", "--help"):
        arguments = ["show", "--help"]
    if arguments[0] != "show":
        raise UsageError(unknown("command", f"config {arguments[0]}", ["config show"]))
    namespace = parser.parse(arguments[1:])
    resolved = resolve(namespace)
    print(_as_json(resolved) if namespace.output == "json" else _as_table(resolved))
    for warning in resolved.warnings:
        print(f"oipserver: warning: {warning}", file=sys.stderr)
    return 0


def _values(resolved: Resolved) -> dict[str, Any]:
    return resolved.settings.model_dump(mode="json")


def _as_json(resolved: Resolved) -> str:
    values = _values(resolved)
    return json.dumps(
        {name: {"value": values[name], "source": source} for name, source in sorted(resolved.sources.items())}, indent=2
    )


def _as_table(resolved: Resolved) -> str:
    rows = [(name, json.dumps(value), resolved.sources[name]) for name, value in _values(resolved).items()]
    return "\n".join(table(("SETTING", "VALUE", "SOURCE"), rows, terminal_width()))
