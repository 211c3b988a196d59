"""``-C key=value`` of a deployment: what the plugin does, and what is a setting of the model; knows no flavor."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from math import isfinite
from typing import Any, Literal, get_args

from ...settings.suggestion import did_you_mean
from .failures import wrong

Transfer = Literal["auto", "push", "copy", "link", "pull"]
TRANSFERS: tuple[str, ...] = get_args(Transfer)


@dataclass(frozen=True, slots=True)
class Options:
    """What ``-C`` may say.

    ``transfer``: how the files get to the server; ``repository``: the folder it shares with us. ``version``: the
    number the model gets there. ``timeout``: seconds until it must be ready. ``keep``: old versions that stay in the
    folder. ``keep_files``: delete leaves them there. ``force``: delete removes a folder whoever made it. ``trust``:
    whether pickles may be deployed, None leaving it to the flavor. ``smoke_test``: whether the example that was logged
    with the model must be answered. ``model``: settings of the model, nested.
    """

    transfer: Transfer = "auto"
    repository: str = ""
    version: str = ""
    timeout: float = 600.0
    keep: int = 0
    keep_files: bool = False
    force: bool = False
    trust: bool | None = None
    smoke_test: bool = True
    port: int = 5000
    model: dict[str, Any] = field(default_factory=dict)


_OWN = tuple(each.name for each in fields(Options) if each.name != "model")
_EXPECTED = {
    "timeout": "a number of seconds above 0",
    "keep": "a number of versions",
    "port": "a port",
    "version": "a number above 0",
    "repository": "a folder",
}


def read_options(config: Mapping[str, Any] | None) -> Options:
    """The options in ``config``, whose values may be JSON and whose keys dotted. Raises MlflowException."""
    own: dict[str, Any] = {}
    model: dict[str, Any] = {}
    for key, text in (config or {}).items():
        value = _parsed(text)
        if key in _OWN:
            own[key] = _checked(key, value)
        else:
            _put(model, key, value)
    return Options(**own, model=model)


def check_known(options: Options, known: frozenset[str]) -> None:
    """Raises MlflowException for the first setting of the model that is none of ``known``."""
    for key in options.model:
        if key not in known:
            raise wrong(
                f"-C {key}: this is neither an option of the plugin nor a setting of a model"
                f"{did_you_mean(key, [*_OWN, *known]) or '; mlflow deployments help -t oip tells what there is'}"
            )


def _parsed(text: Any) -> Any:
    if not isinstance(text, str):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _put(model: dict[str, Any], key: str, value: Any) -> None:
    *above, last = key.split(".")
    place = model
    for word in above:
        place = place.setdefault(word, {})
        if not isinstance(place, dict):
            raise wrong(f"-C {key}: '{word}' was given a value of its own")
    if not all([*above, last]):
        raise wrong(f"-C {key}: a name between the dots is missing")
    place[last] = value


def _checked(key: str, value: Any) -> Any:
    """``value`` in the type of the option ``key``."""
    number = isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
    match key:
        case "transfer" if value in TRANSFERS:
            return value
        case "transfer":
            raise wrong(f"-C transfer={value}: expected one of {', '.join(TRANSFERS)}")
        case "keep_files" | "trust" | "smoke_test" | "force" if isinstance(value, bool):
            return value
        case "keep" | "port" if number and value == int(value) and value >= 0:
            return int(value)
        case "version" if str(value).isdecimal() and int(value) > 0:
            return str(int(value))
        case "timeout" if number and value > 0:
            return float(value)
        case "repository" if isinstance(value, str) and value:
            return value
    raise wrong(f"-C {key}={value}: expected {_EXPECTED.get(key, 'true or false')}")
