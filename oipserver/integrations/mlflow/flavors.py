"""From a logged model's flavors to what is deployed: which runtime serves it, and which of its files; moves none."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...configuration import fill_backend, is_version, read_text
from ...pb import model_config_pb2
from ...repository.mlmodel import MLMODEL_FILE, PYFUNC, REGISTERED_FILE
from ...repository.triton_layout import CONFIGURATION_FILE
from ...settings import ModelSettings
from ...settings.model_file import MODEL_SETTINGS_FILE
from .artifact import Artifact
from .bundle import Bundle, notes_of
from .failures import as_mlflow, wrong
from .native import Native, NotNativeError, read_native
from .onnx_options import onnx_configuration
from .options import Options, check_known

_log = logging.getLogger(__name__)

_ALIASES = {"pyfunc": PYFUNC, "mlflow": PYFUNC, "torch": "pytorch", "huggingface": "transformers"}
#: The best first: what runs fastest, and without unpickling.
_PREFERENCE = ("triton", "onnx", "xgboost", "lightgbm", "sklearn", "pytorch")
FLAVORS = (*_PREFERENCE, "transformers", PYFUNC)

#: What MLflow keeps beside a model, of no use to whoever serves it without MLflow.
_HOUSEKEEPING = frozenset(
    {MLMODEL_FILE, "conda.yaml", "python_env.yaml", "requirements.txt", "input_example.json",
     "serving_input_example.json", REGISTERED_FILE, "model.yaml"}
)  # fmt: skip

# What tells a server how a model is served: a deployment has a description of its own.
_DESCRIPTIONS = frozenset({CONFIGURATION_FILE, MODEL_SETTINGS_FILE})

_CONFIGURATION_KEYS = frozenset(field.name for field in model_config_pb2.ModelConfig.DESCRIPTOR.fields)
_SETTINGS_KEYS = frozenset(ModelSettings.model_fields) - {"name", "configuration", "model_folder"}


@dataclass(frozen=True, slots=True)
class _Wanted:
    name: str
    version: str
    options: Options


def make_bundle(artifact: Artifact, name: str, version: str, flavor: str | None, options: Options) -> Bundle:
    """What to deploy as ``name`` of a logged model; ``flavor`` "" or None chooses the best it has.

    Raises MlflowException for a flavor that is unknown or not there, a file that is missing, a setting nobody knows.
    """
    check_known(options, _CONFIGURATION_KEYS | _SETTINGS_KEYS)
    wanted = _Wanted(name, version, options)
    chosen = _chosen(artifact, flavor)
    with as_mlflow():
        bundle = _built(artifact, wanted, chosen, forced=bool(flavor))
    bundle.notes = {"name": name, **notes_of(artifact, bundle.flavor)}
    return bundle


def _built(artifact: Artifact, wanted: _Wanted, chosen: str, *, forced: bool) -> Bundle:
    if chosen in _BUILDERS:
        return _BUILDERS[chosen](artifact, wanted)
    if chosen == PYFUNC:
        return _pyfunc(artifact, wanted)
    try:
        native = read_native(artifact, chosen, wanted.options)
    except NotNativeError as error:
        if forced or PYFUNC not in artifact.flavors:
            raise wrong(f"{artifact.origin.uri}: {error}") from error
        _log.info("%s: served as %s: %s", artifact.origin.uri, PYFUNC, error)
        return _pyfunc(artifact, wanted)
    return _with_settings(artifact, wanted, chosen, native)


def _chosen(artifact: Artifact, flavor: str | None) -> str:
    has = ", ".join(sorted(artifact.flavors)) or "none"
    if flavor:
        word = _ALIASES.get(flavor, flavor)
        if word not in FLAVORS:
            raise wrong(f"unknown flavor '{flavor}': known are {', '.join(FLAVORS)}; {artifact.origin.uri} has {has}")
        if word not in artifact.flavors:
            raise wrong(f"{artifact.origin.uri} has no flavor '{flavor}': it has {has}")
        return word
    python = artifact.flavors.get(PYFUNC, {})
    needs_mlflow = python.get("streamable") or python.get("code") or "type_hints" in artifact.facts
    for word in _PREFERENCE:
        if word in artifact.flavors and not (needs_mlflow and word not in ("triton", "onnx")):
            return word
    if PYFUNC in artifact.flavors:
        return PYFUNC
    raise wrong(f"{artifact.origin.uri} has no flavor that can be served: it has {has}, expected {', '.join(FLAVORS)}")


# -- the flavors that Triton knows -----------------------------------------------------------------------------------


def _triton(artifact: Artifact, wanted: _Wanted) -> Bundle:
    """The folder that was logged, as it is: with all its versions."""
    data = str(artifact.flavors["triton"].get("data") or "")
    root = artifact.path(data, "triton")
    if not root.is_dir():
        raise wrong(f"{artifact.origin.uri}: its flavor 'triton' names '{data}', expected the folder of a model")
    files = {
        path.relative_to(root).as_posix(): path
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.name not in _DESCRIPTIONS
    }
    _tell_unread(artifact, root / MODEL_SETTINGS_FILE)
    versions = sorted({int(top) for top in (path.split("/")[0] for path in files if "/" in path) if is_version(top)})
    if not versions:
        raise wrong(f"{artifact.origin.uri}: '{data}' has no version: expected a folder whose name is a number in it")
    if "config.pbxt" in files and not (root / CONFIGURATION_FILE).exists():
        _log.warning("%s: config.pbxt is not read: the name is %s", artifact.origin.uri, CONFIGURATION_FILE)
    config = _logged_configuration(artifact, f"{data}/{CONFIGURATION_FILE}")
    first = {path.split("/")[1] for path in files if path.startswith(f"{versions[0]}/")}
    fill_backend(config, first)
    config = _merged(config, wanted.options.model)
    return Bundle(wanted.name, str(versions[-1]), "triton", files, config)


def _onnx(artifact: Artifact, wanted: _Wanted) -> Bundle:
    """The model's file with all that lies beside it, weights in files of their own above all."""
    flavor = artifact.flavors["onnx"]
    data = str(flavor.get("data") or "")
    model = artifact.path(data, "onnx")
    if model.is_dir():
        raise wrong(f"{artifact.origin.uri}: its flavor 'onnx' names '{data}', a folder; expected a file")
    files = {}
    for path in artifact.files():
        top = path.split("/")[0]
        if path in _DESCRIPTIONS or path in _HOUSEKEEPING or top in ("metadata", "code"):
            continue
        labels = "/" not in path and path.endswith(".txt")
        files[path if labels else f"{wanted.version}/{path}"] = artifact.folder / path
    _tell_unread(artifact, artifact.folder / MODEL_SETTINGS_FILE)
    config = _logged_configuration(artifact, CONFIGURATION_FILE)
    if not config["backend"] and not config["platform"]:
        config["backend"] = "onnxruntime"
    if data != "model.onnx" and not config["default_model_filename"]:
        config["default_model_filename"] = data
    config = _merged(config, onnx_configuration(flavor))
    own = {key: value for key, value in wanted.options.model.items() if _is_own(key, value)}
    shared = {key: value for key, value in wanted.options.model.items() if key not in own}
    bundle = Bundle(wanted.name, wanted.version, "onnx", files, _merged(config, shared))
    if own:
        bundle.config.pop("default_model_filename", None)
        bundle.settings = _settings("onnx", f"./{wanted.version}/{data}", wanted.version, {}, own)
    return bundle


def _is_own(key: str, value: Any) -> bool:
    """Whether only our own settings can say it."""
    return key not in _CONFIGURATION_KEYS or (key == "parameters" and isinstance(value, dict) and "extra" in value)


_BUILDERS: dict[str, Callable[[Artifact, _Wanted], Bundle]] = {"triton": _triton, "onnx": _onnx}


def _logged_configuration(artifact: Artifact, path: str) -> dict[str, Any]:
    """The configuration that was logged with the model, or an empty one. Raises InvalidArgumentError."""
    file = artifact.folder / path
    config = read_text(
        file.read_bytes() if file.is_file() else b"",
        lambda line: _log.warning("%s: %s, %s", artifact.origin.uri, path, line),
    )
    config["name"] = ""
    return config


def _tell_unread(artifact: Artifact, settings: Path) -> None:
    if settings.exists():
        _log.warning("%s: %s is not read; give settings with -C", artifact.origin.uri, settings.name)


def _merged(config: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """``config`` with ``more`` over it; parameters, texts by name, may be given as plain values."""
    result = dict(config)
    for key, value in more.items():
        if key == "parameters" and isinstance(value, dict):
            texts = {
                name: told if isinstance(told, dict) else {"string_value": _text(told)} for name, told in value.items()
            }
            result[key] = {**result.get(key, {}), **texts}
        elif isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = _merged(result[key], value)
        else:
            result[key] = value
    return result


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


# -- the flavors of our own runtimes ---------------------------------------------------------------------------------


def _pyfunc(artifact: Artifact, wanted: _Wanted) -> Bundle:
    """The whole folder, for the runtime that has MLflow load it."""
    if wanted.options.trust is False:
        raise wrong(f"{artifact.origin.uri}: as a {PYFUNC} it runs code of its own, and -C trust=false forbids that")
    files = {path: artifact.folder / path for path in artifact.files()}
    return _with_settings(artifact, wanted, PYFUNC, Native("mlflow", "", files, {}))


def _with_settings(artifact: Artifact, wanted: _Wanted, flavor: str, native: Native) -> Bundle:
    version = wanted.version
    files = {f"{version}/{path}": place for path, place in native.files.items()}
    uri = f"./{version}/{native.uri}".rstrip("/")
    settings = _settings(native.implementation, uri, version, native.extra, wanted.options.model)
    return Bundle(wanted.name, version, flavor, files, {}, settings)


def _settings(
    implementation: str, uri: str, version: str, extra: dict[str, Any], told: dict[str, Any]
) -> dict[str, Any]:
    """A model-settings.json. Raises MlflowException where ``told`` has what no settings can say."""
    if unknown := sorted(set(told) - _SETTINGS_KEYS):
        raise wrong(f"-C {unknown[0]}: this flavor is described by model-settings.json, which has no such key")
    parameters = {**told.get("parameters", {}), "uri": uri, "version": version}
    parameters["extra"] = {**extra, **parameters.get("extra", {})}
    return {"implementation": implementation, **told, "parameters": parameters}
