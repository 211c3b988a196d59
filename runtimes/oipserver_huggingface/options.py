"""What ``parameters.extra`` and Seldon Core's environment may say about a pipeline, checked."""

from __future__ import annotations

import json
import logging
import os
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from typing import Any

from oipserver import ModelSettings
from oipserver.errors import ModelLoadError

_log = logging.getLogger(__name__)

_SELDON_CORE = "PREDICTIVE_UNIT_PARAMETERS"


@dataclass(frozen=True, slots=True)
class PipelineOptions:
    """The settings of one pipeline; each field is a key of ``parameters.extra``.

    ``task`` (with ``task_suffix`` after it for translation) and ``pretrained_model``, a name on the hub or a folder,
    say what is loaded; without the latter, ``parameters.uri`` or the folder of the settings. ``pretrained_tokenizer``
    is another one than the model's own. ``model_kwargs`` go to the model's class. ``framework`` is "pt" or nothing.
    ``optimum_model`` runs it by ONNX Runtime. ``device``: "cpu", "cuda:1", or the number of a GPU. The two numbers of
    threads hold for all of PyTorch in the process. ``allow_urls`` lets callers name images by URL or path, which this
    server then reads.
    """

    task: str = ""
    task_suffix: str = ""
    pretrained_model: str | None = None
    pretrained_tokenizer: str | None = None
    model_kwargs: dict[str, Any] = field(default_factory=dict)
    framework: str | None = None
    optimum_model: bool = False
    device: int | str | None = None
    inter_op_threads: int | None = None
    intra_op_threads: int | None = None
    allow_urls: bool = False

    @property
    def task_name(self) -> str:
        """The task as transformers call it."""
        return f"{self.task}{self.task_suffix}" if self.task == "translation" else self.task


_KINDS: dict[str, tuple[type, ...]] = {
    "task": (str,),
    "task_suffix": (str,),
    "pretrained_model": (str,),
    "pretrained_tokenizer": (str,),
    "model_kwargs": (dict,),
    "framework": (str,),
    "optimum_model": (bool,),
    "device": (int, str),
    "inter_op_threads": (int,),
    "intra_op_threads": (int,),
    "allow_urls": (bool,),
}


def read_options(settings: ModelSettings) -> PipelineOptions:
    """The options in ``settings`` and the environment, which wins; unknown keys are logged with the nearest known one.

    Raises ModelLoadError naming the key, what was expected and what came.
    """
    given = {**settings.parameters.extra, **_from_seldon_core(settings.name)}
    known = [each.name for each in fields(PipelineOptions)]
    values = {}
    for key, value in given.items():
        if key not in known:
            near = get_close_matches(key, known, 1)
            hint = f"; did you mean '{near[0]}'?" if near else f"; known are {', '.join(known)}"
            _log.warning("model '%s': parameters.extra.%s is unknown and ignored%s", settings.name, key, hint)
        elif value is not None:
            values[key] = _checked(settings.name, key, value)
    options = PipelineOptions(**values)
    if options.framework not in (None, "", "pt"):
        raise ModelLoadError(
            f"model '{settings.name}': parameters.extra.framework: expected 'pt', got '{options.framework}': "
            "transformers run PyTorch alone today"
        )
    return options


def _checked(model: str, key: str, value: Any) -> Any:
    kinds = _KINDS[key]
    right = isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool))
    if key.endswith("_threads"):
        right = right and value > 0
    if not right:
        names = " or ".join(
            {str: "a text", dict: "an object", bool: "true or false", int: "a number"}[k] for k in kinds
        )
        raise ModelLoadError(
            f"model '{model}': parameters.extra.{key}: expected {names}, got {value!r} ({type(value).__name__})"
        )
    return value


def _from_seldon_core(model: str) -> dict[str, Any]:
    """What Seldon Core 1 puts into the environment: a list of objects with name, value and type."""
    try:
        told = json.loads(os.environ.get(_SELDON_CORE) or "[]")
        return {item["name"]: _typed(item["value"], item.get("type", "STRING")) for item in told}
    except (KeyError, TypeError, ValueError) as error:
        raise ModelLoadError(
            f"model '{model}': environment variable {_SELDON_CORE}: expected a list of objects with 'name', 'value' "
            f"and 'type' (INT, FLOAT, DOUBLE, STRING, BOOL): {type(error).__name__}: {error}"
        ) from error


def _typed(value: str, kind: str) -> Any:
    if kind == "BOOL":
        return {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}[str(value).lower()]
    return {"INT": int, "FLOAT": float, "DOUBLE": float, "STRING": str}[kind](value)
