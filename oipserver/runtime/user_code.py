"""Importing a model's own modules from its folder, apart from those of every other model and of every earlier load."""

from __future__ import annotations

import builtins
import importlib
import importlib.util
import itertools
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

_PREFIX = "oipmodel_"
_numbers = itertools.count(1)


def holds_module(folder: Path, module: str) -> bool:
    """Whether ``module`` (a dotted name, or one that is no identifier) is a file or package of ``folder``."""
    first = module.partition(".")[0]
    return (folder / f"{first}.py").is_file() or (folder / first / "__init__.py").is_file()


def import_from(folder: Path, module: str, model: str) -> ModuleType:
    """Import ``module`` from ``folder``, afresh: a reload sees what has changed, and modules of the same name in other
    folders are others. Modules beside it are found by its imports, under the names they have there.

    Raises whatever its code raises.
    """
    package = f"{_PREFIX}{re.sub(r'[^0-9A-Za-z_]', '_', model)}_{next(_numbers)}"
    parent = ModuleType(package, f"Modules of the model '{model}'.")
    parent.__path__ = [str(folder)]
    sys.modules[package] = parent
    if _FINDER not in sys.meta_path:
        sys.meta_path.insert(0, _FINDER)
    importlib.invalidate_caches()
    try:
        return importlib.import_module(f"{package}.{module}")
    except BaseException:
        forget(f"{package}.{module}")
        raise


def forget(module: str) -> None:
    """Drop what ``import_from`` imported together with the module called ``module``; other modules stay."""
    if module.startswith(_PREFIX):
        package = module.partition(".")[0]
        for name in [name for name in sys.modules if name.partition(".")[0] == package]:
            del sys.modules[name]


class _ModelFinder(MetaPathFinder):
    """Finds the modules of model folders, and loads them so that they find each other."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not fullname.startswith(_PREFIX) or path is None:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and isinstance(spec.loader, SourceFileLoader) and spec.origin is not None:
            spec.loader = _ModelLoader(fullname, spec.origin)
        return spec


_FINDER = _ModelFinder()


class _ModelLoader(SourceFileLoader):
    """Compiles the source each time, since cached bytecode is told from changed source by whole seconds only, and gives
    the module an ``import`` that looks beside it first."""

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        code: CodeType = self.source_to_code(self.get_data(path), path)
        return code

    def exec_module(self, module: ModuleType) -> None:
        package = module.__name__.partition(".")[0]
        module.__dict__["__builtins__"] = {**vars(builtins), "__import__": _importer(package)}
        super().exec_module(module)


def _importer(package: str) -> Callable[..., ModuleType]:
    """An ``__import__`` for modules of ``package``: what lies in its folder is imported from there.

    Modules of the standard library are left alone, whatever a file beside the model is called.
    """
    folder = Path(sys.modules[package].__path__[0])

    def find(
        name: str,
        globals: Mapping[str, Any] | None = None,  # noqa: A002  # named as the built-in's, which may be called by name
        locals: Mapping[str, Any] | None = None,  # noqa: A002
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        first = name.partition(".")[0]
        if level or first in sys.stdlib_module_names or not holds_module(folder, first):
            return builtins.__import__(name, globals, locals, fromlist or (), level)
        found = importlib.import_module(f"{package}.{name}")
        if not fromlist:
            return sys.modules[f"{package}.{first}"]
        for attribute in fromlist:
            if attribute != "*" and not hasattr(found, attribute) and hasattr(found, "__path__"):
                _try_import(f"{package}.{name}.{attribute}")
        return found

    return find


def _try_import(name: str) -> None:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
