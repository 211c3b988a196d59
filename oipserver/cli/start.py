"""``oipserver start``: settings and logs first, then the server until it is told to stop."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..repository.mlflow_uri import is_mlflow_uri
from ..settings import Settings, store_folder
from ..telemetry.logs import configure_logging
from .options import EPILOG, add_settings, resolve
from .parser import Parser, UsageError, see_help
from .report import start_report, terminal_width, wants_colour
from .triton_flags import FLAGS, translate

if TYPE_CHECKING:
    from ..app import StartReport

_log = logging.getLogger(__name__)


def parse(arguments: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """The options given, and those known from Triton that have no effect here. Raises UsageError."""
    parser = Parser("oipserver start", "Serve the models of a folder, one .onnx file, or an MLflow URI.", EPILOG)
    add_settings(parser)
    parser.add_argument("--store", action="store_true", help="serve the model store ($OIPSERVER_HOME/models) instead")
    words, without_effect = translate(arguments, parser.switches)
    return parser.parse(words, FLAGS), without_effect


def run(arguments: Sequence[str]) -> int:
    """Run the command; returns the exit code. Raises OIPError and UsageError."""
    namespace, without_effect = parse(arguments)
    if namespace.store:
        _serve_store(namespace)
    resolved = resolve(namespace)
    configure_logging(resolved.settings)
    for warning in resolved.warnings:
        _log.warning("%s", warning)
    if without_effect:
        _log.warning("known from Triton and without effect here: %s", ", ".join(without_effect))
    _let_models_import(resolved.root, *map(Path, resolved.settings.model_repositories))

    def announce(report: StartReport) -> None:
        _print_report(report, resolved.settings)

    from ..app import run as run_server  # half a second of imports, of no use to a command line that is wrong

    run_server(resolved.settings, resolved.root, announce)
    return 0


def _serve_store(namespace: argparse.Namespace) -> None:
    """Have the model store be the folder that is served."""
    if namespace.root is not None:
        raise UsageError(see_help(f"--store and {namespace.root} name two folders of models", "oipserver start"))
    namespace.root = store_folder()


def _let_models_import(*roots: Path) -> None:
    """Let models import modules of the folder they are started in and of the repositories, as under MLServer."""
    folders = [root.parent if root.is_file() else root for root in roots if not is_mlflow_uri(str(root))]
    for path in (str(Path.cwd()), *(str(folder.absolute()) for folder in folders)):
        if path not in sys.path:
            sys.path.append(path)


def _print_report(report: StartReport, settings: Settings) -> None:
    colour = wants_colour(sys.stdout)
    print(start_report(report, settings.metrics_endpoint or "", terminal_width(), colour=colour), flush=True)
