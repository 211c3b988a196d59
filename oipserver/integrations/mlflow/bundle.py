"""What is deployed: a model's files, and the settings that say how they are served; knows no flavor and no transfer."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from getpass import getuser
from pathlib import Path
from typing import Any

from google.protobuf import text_format

from ...configuration import to_message
from ...repository.triton_layout import CONFIGURATION_FILE
from ...settings.model_file import MODEL_SETTINGS_FILE
from .artifact import Artifact

#: What the plugin of another server calls its notes, so that both can look after one repository.
NOTES_FILE = "mlflow-meta.json"
#: The parameter of a model's configuration that holds the notes on the server.
NOTES_PARAMETER = "mlflow"


@dataclass(slots=True)
class Bundle:
    """A model to be called ``name``, its newest ``version``, and its ``files`` by their path in the model's folder.

    It is described by ``config``, a configuration in Triton's form, which any server of that form takes, and, where
    that cannot say it, by ``settings``, the content of a model-settings.json. ``notes`` tell where it came from.
    """

    name: str
    version: str
    flavor: str
    files: dict[str, Path]
    config: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] | None = None
    notes: dict[str, str] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(path.stat().st_size for path in self.files.values())

    def configuration(self) -> dict[str, Any]:
        """``config`` with the name and the notes in it."""
        parameters = {**self.config.get("parameters", {}), NOTES_PARAMETER: {"string_value": json.dumps(self.notes)}}
        return {**self.config, "name": self.name, "parameters": parameters}

    def description(self) -> tuple[str, bytes]:
        """The file that describes the model: its name and content. Raises InvalidArgumentError."""
        if self.settings is None:
            return CONFIGURATION_FILE, text_format.MessageToString(to_message(self.configuration())).encode()
        told = {**self.settings, "name": self.name, "configuration": self.configuration()}
        return MODEL_SETTINGS_FILE, json.dumps(told, indent=2).encode()


def notes_of(artifact: Artifact, flavor: str) -> dict[str, str]:
    """Where a deployed model comes from, in words only: the other plugin reads its own keys out of them."""
    origin = artifact.origin
    told = {
        "mlflow_model_uri": origin.uri,
        "flavor": flavor,
        "resolved_uri": origin.resolved,
        "registered_name": origin.registered_name,
        "registered_version": origin.version,
        "alias": origin.alias,
        "flavors": ",".join(sorted(artifact.flavors)),
        "deployed_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "deployed_by": _user(),
        "created_by": "oipserver",
        **{key: value for key, value in artifact.facts.items() if key != "type_hints"},
    }
    return {key: value for key, value in told.items() if value}


def _user() -> str:
    try:
        return getuser()
    except (KeyError, OSError):  # a container's user without a name
        return ""
