"""``mlserver.settings``: settings as Python code makes them; ``Settings`` looks into the environment as well."""

from __future__ import annotations

from typing import Any

from ..settings import CORSSettings, ModelParameters, ModelSettings, settings_in_environment
from ..settings import Settings as _Settings

ENV_PREFIX_SETTINGS = "MLSERVER_"
ENV_PREFIX_MODEL_SETTINGS = "MLSERVER_MODEL_"

__all__ = [
    "ENV_PREFIX_MODEL_SETTINGS",
    "ENV_PREFIX_SETTINGS",
    "CORSSettings",
    "ModelParameters",
    "ModelSettings",
    "Settings",
]


class Settings(_Settings):
    """The server's settings: what is given, else what the environment says, else the defaults.

    Raises pydantic.ValidationError for a value, InvalidArgumentError for a variable that cannot be used.
    """

    def __init__(self, **values: Any) -> None:
        super().__init__(**{**settings_in_environment(), **values})
