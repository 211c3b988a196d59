"""``import mlserver`` in a model's code, where that package is not installed; knows names of modules, imports none."""

from __future__ import annotations

import importlib
import importlib.util
import logging
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

_log = logging.getLogger(__name__)

_NAME = "mlserver"
_OURS = "oipserver.compat"
# Where MLServer's modules are, each with everything below it; all others have the same name in our compat package.
_SHARED = {
    "mlserver.codecs": "oipserver.codecs",
    "mlserver.errors": "oipserver.errors",
    "mlserver.handlers.custom": "oipserver.handlers",
    "mlserver.model": "oipserver.model",
    "mlserver.repository.repository": "oipserver.compat.repository",
    "mlserver.types": "oipserver.types",
    "mlserver.grpc.dataplane_pb2": "oipserver.pb.inference_pb2",
    "mlserver.grpc.model_repository_pb2": "oipserver.pb.inference_pb2",
}
# Packages of MLServer's runtimes that models extend classes of.
_RUNTIMES = {"mlserver_mlflow": "oipserver_mlflow", "mlserver_mlflow.runtime": "oipserver_mlflow"}


def target_of(name: str) -> str:
    """The module of ours that ``mlserver``, a module below it or a runtime's means; whether it exists is another
    question."""
    if name in _RUNTIMES:
        return _RUNTIMES[name]
    for theirs, ours in _SHARED.items():
        if name == theirs or name.startswith(f"{theirs}."):
            return ours + name[len(theirs) :]
    return _OURS + name[len(_NAME) :]


def install() -> bool:
    """Let ``import mlserver`` mean this server's own modules from here on; calling it again changes nothing.

    False where the real package is installed: then nothing is changed.
    """
    if _FINDER in sys.meta_path:
        return True
    if real_package() is not None:
        return False
    sys.meta_path.insert(0, _FINDER)
    return True


def real_package() -> str | None:
    """Where MLServer's own package lies, None where it is not installed; a folder of that name is none."""
    spec = PathFinder.find_spec(_NAME)
    return None if spec is None or spec.loader is None else spec.origin


def announce() -> None:
    """Install, and log a line where the real package is in the way."""
    if not install():
        _log.warning(
            "the package mlserver is installed (%s): models that import it get its classes, not this server's; "
            "uninstall it to serve them here",
            real_package(),
        )


def _stands_in_for(name: str) -> bool:
    package = name.partition(".")[0]
    return package == _NAME or (name in _RUNTIMES and PathFinder.find_spec(package) is None)


class _Finder(MetaPathFinder):
    """Answers for ``mlserver`` and all below it, and for runtimes' packages that are not installed."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not _stands_in_for(fullname):
            return None
        ours = target_of(fullname)
        if importlib.util.find_spec(ours) is None:
            raise ModuleNotFoundError(
                f"oipserver, which stands in for MLServer here, has nothing in place of its module '{fullname}'",
                name=fullname,
            )
        return ModuleSpec(fullname, _Loader(ours))


class _Loader(Loader):
    """Puts an existing module in the place of the one that was asked for: its classes are the same by both names."""

    def __init__(self, ours: str) -> None:
        self._ours = ours

    def exec_module(self, module: ModuleType) -> None:
        sys.modules[module.__name__] = importlib.import_module(self._ours)


_FINDER = _Finder()
