"""The environment variables meant for this server, by the setting each one sets; reads no process state itself."""

from __future__ import annotations

import re
from collections.abc import Mapping

from . import mlserver_names
from .model import ModelParameters, ModelSettings
from .server import Settings
from .suggestion import closest

#: Prefixes in order of precedence: ours, then MLServer's, whose users change nothing but the server.
PREFIXES = ("OIPSERVER_", "MLSERVER_")
_MODEL = "MODEL_"

# Kubernetes puts these into every container beside a Service called "oipserver..." or "mlserver...".
_KUBERNETES_NAME = re.compile(r".*SERVICE_(HOST|PORT)(_.*)?|(.*_)?PORT_\d+_(TCP|UDP|SCTP)(_.*)?", re.IGNORECASE)
_KUBERNETES_VALUE = re.compile(r"(tcp|udp|sctp)://", re.IGNORECASE)

#: Runtimes whose own settings may stand in the environment, as ``MLSERVER_MODEL_<RUNTIME>_<KEY>``.
RUNTIMES = ("onnx", "huggingface", "sklearn", "xgboost", "lightgbm", "catboost", "mlflow", "torch")

# Variables that set nothing here and are no mistake: MLServer's command line and images read some, our store one.
_NO_MISTAKE = re.compile(rf"infer_.*|models_dir|path|home|model_({'|'.join(RUNTIMES)})_.*")


class Environment:
    """``OIPSERVER_*`` and ``MLSERVER_*`` variables, names in any case; the former win over the latter.

    ``below`` are the variables of a file called ``file``: they count where the environment has none of their name.
    """

    def __init__(self, variables: Mapping[str, str], below: Mapping[str, str] | None = None, file: str = "") -> None:
        self._by_prefix: dict[str, dict[str, tuple[str, str]]] = {prefix: {} for prefix in PREFIXES}
        self._add(below or {}, f" in {file}")
        self._add(variables, "")

    def _add(self, variables: Mapping[str, str], where: str) -> None:
        for variable in sorted(variables):
            for prefix in PREFIXES:
                if variable.upper().startswith(prefix) and not _is_kubernetes(variable, variables[variable]):
                    key = variable[len(prefix) :].lower()
                    self._by_prefix[prefix][key] = (variable + where, variables[variable])

    def server(self, field: str) -> tuple[str, str] | None:
        """Variable and text that set ``field`` of Settings, if any."""
        return next((found[field] for found in self._by_prefix.values() if field in found), None)

    def model(self, field: str) -> tuple[str, str] | None:
        """Variable and text that set ``field`` of ModelSettings or ModelParameters, if any."""
        return self.server(f"{_MODEL}{field}".lower())

    def below(self, prefix: str) -> dict[str, tuple[str, str]]:
        """Variable and text of every model variable whose name goes on with ``prefix``, by the rest of the name."""
        start = f"{_MODEL}{prefix}".lower()
        return {
            key.removeprefix(start): found[key]
            for found in reversed(self._by_prefix.values())
            for key in found
            if key.startswith(start)
        }

    def warnings(self) -> list[str]:
        """One line for each variable that sets nothing."""
        known = _known_names()
        return [
            warning
            for prefix, found in self._by_prefix.items()
            for key, (variable, _) in found.items()
            if key not in known and (warning := _warning(prefix, key, variable, known))
        ]


def _known_names() -> set[str]:
    model = {f"{_MODEL}{field}".lower() for kind in (ModelSettings, ModelParameters) for field in kind.model_fields}
    return set(Settings.model_fields) | model


def _is_kubernetes(variable: str, value: str) -> bool:
    return bool(_KUBERNETES_NAME.fullmatch(variable) or _KUBERNETES_VALUE.match(value))


def _warning(prefix: str, key: str, variable: str, known: set[str]) -> str:
    if _NO_MISTAKE.fullmatch(key):
        return ""
    if key in mlserver_names.SERVER:
        return mlserver_names.no_effect(variable, mlserver_names.SERVER[key])
    if key in mlserver_names.CORS:
        return f"environment variable '{variable}' has no effect here: set {prefix}CORS_SETTINGS to a JSON object"
    match = closest(key, known)
    hint = f"; did you mean '{prefix}{match.upper()}'?" if match else ""
    return f"environment variable '{variable}' sets nothing{hint}"
