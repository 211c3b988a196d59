"""The options that `build` and `dockerfile` share, from words to what an image is to be; writes nothing."""

from __future__ import annotations

import argparse
import sys
from importlib.metadata import metadata
from pathlib import Path

from ..build import Needs, Options, needs_of
from ..errors import InvalidArgumentError
from .parser import Parser, unknown


def add_image_options(parser: Parser) -> None:
    """Add the folder and what can be chosen about its image."""
    parser.add_argument("folder", metavar="DIR", type=Path, help="folder of models")
    group = parser.add_argument_group("image")
    group.add_argument("--base-image", metavar="IMAGE", help="image to start from; it must have Python with venv")
    group.add_argument("--gpu", action="store_true", help="an image for NVIDIA GPUs, with CUDA")
    group.add_argument(
        "--runtimes", metavar="A,B", help="extras to install, such as onnx,sklearn; default: those the models need"
    )
    group.add_argument(
        "--wheelhouse", metavar="DIR", type=Path, help="install from the wheels in this folder alone, without network"
    )
    group.add_argument(
        "--system-packages", metavar="A,B", default="", help="packages of the base image's distribution to install"
    )
    group.add_argument(
        "--no-mlflow-requirements", action="store_true", help="leave out what MLflow models say they require"
    )


def image_of(namespace: argparse.Namespace) -> tuple[Needs, Options]:
    """What the folder needs and what was chosen; notes go to the terminal. Raises OIPError."""
    needs = needs_of(namespace.folder, mlflow_requirements=not namespace.no_mlflow_requirements)
    for note in needs.notes:
        print(f"oipserver: note: {note}", file=sys.stderr)
    wheelhouse: Path | None = namespace.wheelhouse
    if wheelhouse is not None and not wheelhouse.is_dir():
        raise InvalidArgumentError(f"--wheelhouse {wheelhouse} is no folder: expected one with wheels (pip wheel)")
    extras = None if namespace.runtimes is None else _extras(namespace.runtimes)
    system_packages = tuple(_words(namespace.system_packages))
    return needs, Options(namespace.base_image, namespace.gpu, extras, wheelhouse, system_packages)


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _extras(text: str) -> frozenset[str]:
    known = metadata("oipserver").get_all("Provides-Extra") or []
    for word in _words(text):
        if word not in known:
            raise InvalidArgumentError(
                f"--runtimes: {unknown('extra', word, known)}; expected some of {', '.join(known)}"
            )
    return frozenset(_words(text))
