"""``oipserver build``: a folder of models as a container image, by a builder of the user's."""

from __future__ import annotations

import argparse
import shlex
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from ..build import BUILDERS, DOCKERIGNORE, Builder, Needs, Options, dockerfile, find_builder
from ..errors import InvalidArgumentError, UnavailableError
from .dockerfile import may_write, write
from .image_options import add_image_options, image_name, image_of
from .parser import Parser

_GRACE = 5.0  # seconds beyond shutdown_timeout until a stopped container is killed


def run(arguments: Sequence[str]) -> int:
    """Run the command; returns the exit code, the builder's own where it failed. Raises OIPError and UsageError."""
    words = list(arguments)
    at = words.index("--") if "--" in words else len(words)
    namespace = _parser().parse(words[:at])
    builder = find_builder(namespace.builder)
    needs, options = image_of(namespace)
    if builder is None:
        raise _no_builder(namespace, needs, options)
    scratch = Path(tempfile.mkdtemp(prefix="oipserver-build-"))
    try:
        command = _command(builder, namespace, needs, options, scratch, words[at + 1 :])
        print(shlex.join(command), flush=True)
        code = builder.run(command)
    except BaseException:
        shutil.rmtree(scratch)
        raise
    if code:
        what = f"{builder.name} failed with exit code {code} and said why above"
        print(f"\noipserver: error: {what}; the Dockerfile is {scratch / 'Dockerfile'}", file=sys.stderr)
        return code
    shutil.rmtree(scratch)
    _report(builder, namespace.tag, needs, options)
    return 0


def _parser() -> Parser:
    parser = Parser(
        "oipserver build",
        "Make a container image that serves a folder of models.",
        "Words behind -- go to the builder as they are: oipserver build DIR -t TAG -- --network host",
    )
    parser.usage = "oipserver build DIR -t TAG [options] [-- OPTIONS OF THE BUILDER]"
    add_image_options(parser)
    group = parser.add_argument_group("build")
    group.add_argument("-t", "--tag", required=True, type=image_name, help="name of the image")
    group.add_argument("--builder", choices=BUILDERS, help="program that builds [the first that is here]")
    group.add_argument("--no-cache", action="store_true", help="make every layer anew")
    group.add_argument("--platform", metavar="OS/ARCH", help="platform of the image, such as linux/arm64")
    return parser


def _command(
    builder: Builder,
    namespace: argparse.Namespace,
    needs: Needs,
    options: Options,
    scratch: Path,
    extra: Sequence[str],
) -> list[str]:
    """Write what the builder reads beside the folder, and the command that has it read.

    Raises InvalidArgumentError where it cannot read wheels that lie outside of the folder.
    """
    outside = options.wheelhouse_outside(needs.folder)
    if outside is not None and not builder.takes_contexts():
        raise InvalidArgumentError(
            f"--wheelhouse {outside} lies outside of {namespace.folder}, which docker can read with buildx alone: "
            f"install that, move the wheels into {namespace.folder}, or build with podman"
        )
    has_own = (needs.folder / ".dockerignore").exists()
    return builder.command(
        namespace.folder,
        write(scratch / "Dockerfile", dockerfile(needs, options)),
        namespace.tag,
        ignorefile=None if has_own else write(scratch / "Dockerfile.dockerignore", DOCKERIGNORE),
        wheelhouse=outside,
        no_cache=namespace.no_cache,
        platform=namespace.platform,
        extra=extra,
    )


def _no_builder(namespace: argparse.Namespace, needs: Needs, options: Options) -> UnavailableError:
    """Leave the Dockerfile where it can be used, and say how."""
    text = dockerfile(needs, options)
    try:
        beside = needs.folder / "Dockerfile"
        path = write(beside if may_write(beside) else beside.with_name("Dockerfile.oipserver"), text)
    except InvalidArgumentError:  # a folder that cannot be written to
        path = write(Path(tempfile.mkdtemp(prefix="oipserver-build-")) / "Dockerfile", text)
    command = Builder("docker").command(
        namespace.folder, path, namespace.tag, wheelhouse=options.wheelhouse_outside(needs.folder)
    )
    engine = "; docker is here, but its engine does not answer" if shutil.which("docker") else ""
    return UnavailableError(
        f"no builder found ({', '.join(BUILDERS)}{engine}), but {path} is written. Install podman, docker or buildah "
        f"and run this again; or run '{shlex.join(command)}' where there is one; or give the folder to a builder in a "
        "cluster"
    )


def _report(builder: Builder, tag: str, needs: Needs, options: Options) -> None:
    settings = needs.settings
    ports = [settings.http_port, settings.grpc_port] + ([settings.metrics_port] if settings.metrics_endpoint else [])
    size = builder.size(tag)
    grace = settings.shutdown_timeout + _GRACE
    print(f"\nbuilt {tag}{f', {size}' if size else ''}\n\n  {builder.how_to_run(tag, ports, grace, gpu=options.gpu)}")
