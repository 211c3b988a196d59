"""``mlserver.settings``: the classes of settings, which look into the environment once this module is imported."""

from __future__ import annotations

from ..settings import CORSSettings, ModelParameters, ModelSettings, Settings, fill_from, settings_in_environment

ENV_FILE_SETTINGS = ".env"
ENV_PREFIX_SETTINGS = "MLSERVER_"
ENV_PREFIX_MODEL_SETTINGS = "MLSERVER_MODEL_"

__all__ = [
    "ENV_FILE_SETTINGS",
    "ENV_PREFIX_MODEL_SETTINGS",
    "ENV_PREFIX_SETTINGS",
    "CORSSettings",
    "ModelParameters",
    "ModelSettings",
    "Settings",
]

# MLServer's settings take what they are not given from the environment, wherever they are made.
fill_from(settings_in_environment)
