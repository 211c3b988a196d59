"""The options that `build` and `dockerfile` share, from words to what an image is to be; writes nothing."""

from __future__ import annotations

import argparse
import re
import sys
from importlib.metadata import distribution, metadata
from pathlib import Path

from .. import __version__
from ..build import Needs, Options, gpu_note, needs_of
from ..errors import InvalidArgumentError
from .parser import Parser, unknown

# Registry, path, tag and digest, each where it may stand; builders know the finer rules.
_IMAGE = re.compile(r"(?:[\w.-]+(?::\d+)?/)?[a-z0-9][a-z0-9._/-]*(?::\w[\w.-]*)?(?:@\w+:[0-9a-f]+)?", re.ASCII)
_SYSTEM_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]+(?::\w+)?(?:=[\w.+:~-]+)?", re.ASCII)


def image_name(text: str) -> str:
    """The name of an image, as a type of arguments. Raises ArgumentTypeError."""
    if not _IMAGE.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} names no image: expected one like shop/models:1, in small letters")
    return text


def add_image_options(parser: Parser) -> None:
    """Add the folder and what can be chosen about its image."""
    parser.add_argument("folder", metavar="DIR", type=Path, help="folder of models")
    group = parser.add_argument_group("image")
    group.add_argument(
        "--base-image", metavar="IMAGE", type=image_name, help="image to start from; it must have Python with venv"
    )
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
    if namespace.gpu and namespace.base_image is None and (note := gpu_note(needs)):
        needs.notes.append(note)
    for note in [*needs.notes, *_origin(namespace, needs)]:
        print(f"oipserver: note: {note}", file=sys.stderr)
    extras = None if namespace.runtimes is None else _extras(namespace.runtimes)
    system_packages = _system_packages(namespace.system_packages)
    return needs, Options(
        namespace.base_image, namespace.gpu, extras, _wheelhouse(namespace.wheelhouse), system_packages
    )


def _origin(namespace: argparse.Namespace, needs: Needs) -> list[str]:
    """What to tell those whose oipserver came from no package index, where the builder will look for it."""
    if needs.is_server or namespace.wheelhouse or distribution("oipserver").read_text("direct_url.json") is None:
        return []
    version = f"oipserver=={__version__}"
    return [
        f"the image gets {version} from the package index, not the one installed here; --wheelhouse can give it that"
    ]


def _wheelhouse(folder: Path | None) -> Path | None:
    if folder is not None and not any(folder.glob("*.whl")):
        what = "has no wheels" if folder.is_dir() else "is no folder"
        raise InvalidArgumentError(f"--wheelhouse {folder} {what}: expected a folder that 'pip wheel' has filled")
    return folder


def _system_packages(text: str) -> tuple[str, ...]:
    for word in _words(text):
        if not _SYSTEM_PACKAGE.fullmatch(word):
            raise InvalidArgumentError(
                f"--system-packages: {word!r} names no package: expected some like libgomp1,curl"
            )
    return tuple(_words(text))


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
