"""Settings of the server and of each model, and where every value came from."""

from __future__ import annotations

from .model import ModelParameters, ModelSettings, TensorSettings
from .server import CORSSettings, Settings

__all__ = ["CORSSettings", "ModelParameters", "ModelSettings", "Settings", "TensorSettings"]
