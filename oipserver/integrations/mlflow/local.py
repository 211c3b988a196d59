"""A logged model served on this machine, by a server of its own in the foreground."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ...termination import exit_on_sigterm
from .artifact import fetched
from .failures import broken
from .flavors import make_bundle
from .options import read_options
from .progress import Progress
from .shared import SharedRepository


def run_local(name: str, model_uri: str, flavor: str | None = None, config: Mapping[str, Any] | None = None) -> None:
    """Serve the model at ``model_uri`` as ``name`` until the server is stopped (Ctrl-C). Raises MlflowException."""
    options = read_options(config)
    with fetched(model_uri) as artifact, TemporaryDirectory(prefix="oipserver-local-") as folder:
        bundle = make_bundle(artifact, name, options.version or artifact.origin.version or "1", flavor, options)
        repository = SharedRepository(Path(folder))
        with repository.placed(bundle, Progress(None, name, 0), replace=False, link=True, movable=False, keep=0):
            command = [sys.executable, "-m", "oipserver", "start", folder, "--host", "127.0.0.1"]
            command += ["--http-port", str(options.port), "--grpc-port", "0", "--metrics-port", "0"]
            with exit_on_sigterm():  # or the server would outlive us
                code = _wait(subprocess.Popen(command))
    if code not in (0, -2, -15, 130):
        raise broken(f"the server of '{name}' ended with code {code}: what it printed says why")


def _wait(server: subprocess.Popen[bytes]) -> int:
    """The exit code of ``server``, 0 where it was interrupted; it has ended, whatever ends the waiting."""
    try:
        return server.wait()
    except KeyboardInterrupt:  # the terminal has told the server too: it finishes what it has begun
        with suppress(KeyboardInterrupt):
            server.wait()
        return 0
    finally:
        if server.poll() is None:
            server.terminate()
            server.wait()
