"""Importing a framework when a model needs it, and saying how to install it where it is missing."""

from __future__ import annotations

import importlib
from typing import Any

from oipserver.errors import ModelLoadError


def import_framework(module: str, requirement: str, model: str) -> Any:
    """The module called ``module``, which installing ``requirement`` brings.

    Raises ModelLoadError with the line that installs it, or with what is broken where it is installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        package = module.partition(".")[0]
        if error.name is not None and error.name.partition(".")[0] == package:
            raise ModelLoadError(
                f"model '{model}' needs {package}, which is not installed. Install it:\n  pip install {requirement}"
            ) from None
        raise _broken(module, requirement, model, error) from error
    except (ImportError, OSError) as error:  # OSError: a shared library that is missing
        raise _broken(module, requirement, model, error) from error


def _broken(module: str, requirement: str, model: str, error: Exception) -> ModelLoadError:
    return ModelLoadError(
        f"model '{model}': {module} is installed but cannot be imported: {error}. Install all it needs:\n"
        f"  pip install {requirement}"
    )
