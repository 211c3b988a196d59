"""Settings of the server and of each model, and where every value came from."""

from __future__ import annotations

from .base import fill_from
from .environment import Environment
from .model import ModelParameters, ModelSettings, TensorSettings
from .model_file import load_model_settings, model_settings_from_environment
from .server import CORSSettings, Settings
from .sources import Resolved, process_environment, resolve_settings, settings_in_environment
from .store import store_folder

__all__ = [
    "CORSSettings",
    "Environment",
    "ModelParameters",
    "ModelSettings",
    "Resolved",
    "Settings",
    "TensorSettings",
    "fill_from",
    "load_model_settings",
    "model_settings_from_environment",
    "process_environment",
    "resolve_settings",
    "settings_in_environment",
    "store_folder",
]
