"""Variables that say which server models are deployed on; knows no server and no MLflow."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DeploymentVariables:
    """``url`` of the server, the bearer ``token`` it asks for, the ``repository`` folder it shares with us; or ""."""

    url: str = ""
    token: str = ""
    repository: str = ""


def deployment_variables(environ: Mapping[str, str] | None = None) -> DeploymentVariables:
    """``OIP_URL``, ``OIP_TOKEN`` and ``OIP_MODEL_REPO`` of ``environ``, by default this process's."""
    variables = os.environ if environ is None else environ
    return DeploymentVariables(
        *(variables.get(name, "").strip() for name in ("OIP_URL", "OIP_TOKEN", "OIP_MODEL_REPO"))
    )
