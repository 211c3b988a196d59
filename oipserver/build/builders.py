"""The programs that build images: which is here, its command line, and what it made; knows no Dockerfile's content."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import UnavailableError
from ..termination import exit_on_sigterm
from .dockerfile import WHEELHOUSE

BUILDERS = ("docker", "podman", "buildah")

_PROBE_SECONDS = 20.0
_END_SECONDS = 5.0  # for a builder to end by itself, and again for one that is asked to


@dataclass(frozen=True, slots=True)
class Builder:
    """One of BUILDERS that is installed."""

    name: str

    def command(
        self,
        folder: Path,
        dockerfile: Path,
        tag: str,
        *,
        ignorefile: Path | None = None,
        wheelhouse: Path | None = None,
        no_cache: bool = False,
        platform: str | None = None,
        extra: Sequence[str] = (),
    ) -> list[str]:
        """The command that builds ``folder`` as ``tag``.

        ``ignorefile`` counts where the folder has none; docker finds it by its name, behind the Dockerfile's.
        ``wheelhouse`` is one outside of the folder.
        """
        words = [self.name, "build", "--tag", tag, "--file", str(dockerfile)]
        if self.name != "docker":  # without this the health check is left out
            words += ["--format", "docker"] + (["--ignorefile", str(ignorefile)] if ignorefile else [])
        if wheelhouse is not None:
            words += ["--build-context", f"{WHEELHOUSE}={wheelhouse}"]
        if no_cache:
            words.append("--no-cache")
        if platform is not None:
            words += ["--platform", platform]
        return [*words, *extra, str(folder)]

    def takes_contexts(self) -> bool:
        """Whether it can read a folder beside the one it builds; a docker without buildx cannot."""
        return self.name != "docker" or bool(_output(["docker", "buildx", "version"]))

    def run(self, command: Sequence[str]) -> int:
        """Run a command with the output where ours goes; returns its exit code, 128 and more where a signal ended it.

        Interrupted or terminated, it waits for the builder, which is so as well, to clear up what it has begun. Raises
        UnavailableError where the builder cannot be run.
        """
        try:
            begun = subprocess.Popen(command)
        except OSError as error:
            raise UnavailableError(f"{self.name} cannot be run: {error.strerror}") from None
        with exit_on_sigterm(), begun as process:
            try:
                code = process.wait()
            except SystemExit:  # unlike a terminal's interrupt, that has not reached the builder
                process.terminate()
                _end(process)
                raise
            except BaseException:
                _end(process)
                raise
        return code if code >= 0 else 128 - code

    def size(self, tag: str) -> str:
        """The size of an image as people write it; "" where the builder does not tell."""
        if self.name == "buildah":
            return _output(["buildah", "images", "--noheading", "--format", "{{.Size}}", tag])
        text = _output([self.name, "image", "inspect", "--format", "{{.Size}}", tag])
        return f"{int(text) / 1e6:.0f} MB" if text.isdecimal() else ""

    def how_to_run(self, tag: str, ports: Sequence[int], grace: float, *, gpu: bool) -> str:
        """The command that runs an image with its ``ports``, stopped with ``grace`` seconds for what is in flight."""
        program = "podman" if self.name == "buildah" else self.name
        devices = "" if not gpu else " --gpus all" if program == "docker" else " --device nvidia.com/gpu=all"
        published = " ".join(f"-p {port}:{port}" for port in ports)
        return f"{program} run --rm{devices} {published} --stop-timeout {grace:.0f} {tag}"


def find_builder(name: str | None = None) -> Builder | None:
    """The builder called ``name``, else the first that is here; None where there is none.

    A docker without its engine is none. Raises UnavailableError where the one that was asked for is not installed.
    """
    if name is not None:
        if shutil.which(name) is None:
            raise UnavailableError(f"{name} is not installed, or not in PATH")
        return Builder(name)
    found = [each for each in BUILDERS if shutil.which(each)]
    working = [each for each in found if each != "docker" or _output(["docker", "version", "--format", "{{.Server}}"])]
    return Builder(working[0]) if working else None


def _end(process: subprocess.Popen[bytes]) -> None:
    for stop in (process.terminate, process.kill):
        try:
            process.wait(_END_SECONDS)
            return
        except subprocess.TimeoutExpired:
            stop()


def _output(command: Sequence[str]) -> str:
    """What a command says; "" where it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PROBE_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
