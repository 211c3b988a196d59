"""Reading an estimator from a file, and saying what to do where that fails."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from oipserver_frameworks import import_framework

from oipserver import ModelSettings
from oipserver.errors import ModelLoadError, OIPError

_REQUIREMENT = '"oipserver[sklearn]"'


def read_estimator(path: Path, settings: ModelSettings) -> Any:
    """The object in the file at ``path``. Raises ModelLoadError."""
    sklearn = import_framework("sklearn", _REQUIREMENT, settings.name)
    _find_own_modules(settings)
    try:
        if path.suffix == ".skops":
            return _read_skops(path, settings)
        return import_framework("joblib", _REQUIREMENT, settings.name).load(path)
    except OIPError:
        raise
    except ModuleNotFoundError as error:
        raise ModelLoadError(
            f"model '{settings.name}': '{path}' needs the module '{error.name}', which is not here: install it, or put "
            f"{error.name}.py beside the model's settings"
        ) from error
    except Exception as error:
        raise ModelLoadError(
            f"model '{settings.name}': '{path}' cannot be read with scikit-learn {sklearn.__version__} "
            f"({type(error).__name__}: {error}). Files of other versions may not load: save the model again with this "
            "version, or install the one it was saved with"
        ) from error


def _find_own_modules(settings: ModelSettings) -> None:
    """Let modules beside the settings be found: pickles name the functions and classes they were made with."""
    if settings.source:
        folder = str(Path(settings.source).resolve().parent)
        if folder not in sys.path and any(Path(folder).glob("*.py")):
            sys.path.insert(0, folder)


def _read_skops(path: Path, settings: ModelSettings) -> Any:
    trusted = settings.parameters.extra.get("trusted_types", [])
    if not isinstance(trusted, list) or not all(isinstance(name, str) for name in trusted):
        raise ModelLoadError(
            f"model '{settings.name}': parameters.extra.trusted_types: expected a list of type names, got {trusted!r}"
        )
    skops = import_framework("skops.io", "skops", settings.name)
    untrusted = sorted(set(skops.get_untrusted_types(file=path)) - set(trusted))
    if untrusted:
        raise ModelLoadError(
            f"model '{settings.name}': '{path}' needs types that nobody vouched for. Where you trust it, put them into "
            f"parameters.extra.trusted_types: {', '.join(untrusted)}"
        )
    return skops.load(path, trusted=trusted)
