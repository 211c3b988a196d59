"""``mlserver.repository.load``: one model's settings from its file."""

from __future__ import annotations

import logging
from pathlib import Path

from ... import settings

_log = logging.getLogger(__name__)


def load_model_settings(model_settings_path: str) -> settings.ModelSettings:
    """The settings in a file, with what the environment adds. Raises InvalidArgumentError naming the file and key."""
    return settings.load_model_settings(
        Path(model_settings_path), settings.process_environment(), lambda warning: _log.warning("%s", warning)
    )
