"""The base of all settings: what a constructor is not given, a source may give; knows no source."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import BaseModel

#: The values of a class of settings that are known without being given, with the ``_env_file`` that was asked for.
Source = Callable[[type[BaseModel], Any], dict[str, Any]]

_source: Source | None = None


def fill_from(source: Source | None) -> None:
    """Let ``source`` give, from here on and in this process, what settings are made without; None: nothing does."""
    global _source
    _source = source


class SettingsModel(BaseModel):
    """A group of settings. ``_env_file`` is a file of variables to look into, where a source looks into any."""

    def __init__(self, /, **values: Any) -> None:
        env_file = values.pop("_env_file", None)
        super().__init__(**({**_source(type(self), env_file), **values} if _source else values))
