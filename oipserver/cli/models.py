"""``oipserver models``: the model store by its verbs; without one, what would be served of a folder."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from ..repository import FileModelRepository
from ..settings import ModelSettings, resolve_settings
from .parser import Parser
from .report import terminal_width
from .table import table

# Words that mean the store. A folder of such a name is ./list.
_VERBS = {
    "list": "the stored models",
    "get": "one of them: what is known of it, or its path",
    "import": "store a model, from MLflow or from an archive",
    "export": "write a stored model into an archive",
    "alias": "give a version another name",
    "delete": "take models out of the store",
    "push": "copy a stored model into a store elsewhere",
    "pull": "copy one from there",
}
_EPILOG = "The model store has verbs, 'oipserver models VERB --help' tells more: " + "; ".join(
    f"{verb}: {text}" for verb, text in _VERBS.items()
)


def run(arguments: Sequence[str]) -> int:
    """Run the command; returns the exit code, 1 where a model cannot be read. Raises OIPError and UsageError."""
    logging.basicConfig(format="oipserver: warning: %(message)s", level=logging.WARNING)
    if arguments and arguments[0] in _VERBS:
        from .store import VERBS

        return VERBS[arguments[0]](arguments[1:])
    parser = Parser("oipserver models", "List the models of a folder without starting them.", _EPILOG)
    parser.usage = "oipserver models [DIR] [options] | oipserver models VERB ..."
    parser.add_argument("root", metavar="DIR", nargs="?", type=Path, help="folder of models, or one .onnx file")
    parser.add_argument("-o", "--output", choices=("table", "json"), default="table", help="how to print [table]")
    namespace = parser.parse(arguments)
    root = resolve_settings(namespace.root).root
    scan = asyncio.run(FileModelRepository(root).scan())
    rows = [_row(model) for model in scan.models]
    if namespace.output == "json":
        print(json.dumps([dict(zip(("name", "version", "implementation", "uri"), row, strict=True)) for row in rows]))
    elif rows:
        print("\n".join(table(("MODEL", "VERSION", "IMPLEMENTATION", "URI"), rows, terminal_width())))
    else:
        print(f"no models in {root}")
    for problem in scan.problems:
        print(f"oipserver: error: {problem}", file=sys.stderr)
    return 1 if scan.problems else 0


def _row(model: ModelSettings) -> tuple[str, str, str, str]:
    return model.name, model.version, model.implementation, model.parameters.uri or ""
