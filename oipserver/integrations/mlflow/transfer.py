"""One bundle on its way to a server: sent or placed, loaded, tried, and taken back where that fails."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from mlflow.exceptions import MlflowException

from .artifact import Artifact
from .asking import Asking
from .bundle import Bundle
from .failures import as_mlflow, broken, too_late
from .options import Options
from .progress import Progress
from .server import RestServer, Uploads
from .shared import SharedRepository
from .upload import Source

_log = logging.getLogger(__name__)

_PAUSE = 0.2  # seconds between two looks at a server that answers a load before it is done
_EXAMPLE = "serving_input_example.json"


@dataclass(slots=True)
class Transferral:
    """``bundle``, made of ``artifact``, on its way: through ``repository``, or where that is None in requests."""

    server: RestServer
    uploads: Uploads
    asking: Asking
    bundle: Bundle
    artifact: Artifact
    options: Options
    repository: SharedRepository | None

    def create(self) -> None:
        """Deploy under a name that is free; after a failure it is free again. Raises MlflowException."""
        try:
            with self._placed(replace=False):
                self._load()
                self._try()
        except BaseException:
            with suppress(MlflowException):
                self.server.unload(self.bundle.name, self.options.timeout)
            raise

    def update(self, restore: Callable[[], None]) -> None:
        """Deploy in the place of what is there, which serves on after a failure. Raises MlflowException.

        A server swaps only once the new one is loaded. Where that one then does not answer its own example,
        ``restore`` sends the old one again; in a shared repository it is still there.
        """
        swapped = False
        try:
            with self._placed(replace=True):
                self._load()
                swapped = True
                self._try()
        except BaseException:
            if swapped and self.repository is not None:
                self.uploads.load(self.bundle.name, None, {}, self._progress(0), self.options.timeout)
            elif swapped:
                restore()
            raise

    @contextmanager
    def _placed(self, *, replace: bool) -> Iterator[None]:
        if self.repository is None:
            yield
            return
        link = self.options.transfer == "link"
        with (
            as_mlflow(),
            self._progress(self.bundle.size if not link else 0) as progress,
            self.repository.placed(
                self.bundle,
                progress,
                replace=replace,
                link=link,
                movable=self.artifact.own,
                keep=self.options.keep,
            ),
        ):
            yield

    def _load(self) -> None:
        config: str | None = None
        files: dict[str, Source] = {}
        if self.repository is None:
            with as_mlflow():
                described, text = self.bundle.description()
            files = dict(self.bundle.files)
            if self.bundle.settings is None:  # as Triton takes it: there a configuration is no file
                config = json.dumps(self.bundle.configuration())
            else:
                files[described] = text
        with self._progress(self.bundle.size if files else 0) as progress:
            self.uploads.load(self.bundle.name, config, files, progress, self.options.timeout)
        self._wait()

    def _progress(self, size: int) -> Progress:
        return Progress(sys.stderr if size else None, self.bundle.name, size)

    def _wait(self) -> None:
        deadline = time.monotonic() + self.options.timeout
        while not self.server.ready(self.bundle.name):
            if time.monotonic() > deadline:
                raise too_late(f"'{self.bundle.name}' was loaded but is not ready after {self.options.timeout:g} s")
            time.sleep(_PAUSE)

    def _try(self) -> None:
        """Have the model answer the example that was logged with it, where there is one that can be sent."""
        path = self.artifact.folder / _EXAMPLE
        if not self.options.smoke_test or not path.is_file():
            return
        name = self.bundle.name
        try:
            body = self.asking.body(name, json.loads(path.read_bytes()))
        except (MlflowException, ValueError) as error:
            _log.info("'%s': its example cannot be sent as tensors: %s", name, error)
            return
        try:
            self.asking.infer(name, body)
        except MlflowException as error:
            raise broken(
                f"'{name}' was loaded but does not answer the example that was logged with it: {error.message} "
                "(-C smoke_test=false deploys it all the same)"
            ) from error
