"""``oipserver models import``: its options, and what they come to."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from ..errors import InvalidArgumentError
from ..settings.json_file import read_json_object
from ..store import ImportOptions, ModelStore, StoredModel, Tag, import_mlflow_model, import_model
from .parser import Parser, UsageError, see_help

_MLFLOW = "mlflow"
_OF_MLFLOW = ("name", "version", "label", "metadata", "with_run", "runtime", "set", "batch", "batch_time", "enforce")


def pair(text: str) -> tuple[str, str]:
    """``KEY=VALUE`` as an option has it. Raises argparse's error."""
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise argparse.ArgumentTypeError(f"expected KEY=VALUE, got '{text}'")
    return key, value


def add_import_options(parser: Parser) -> None:
    """Add what is imported, and what can be said of an MLflow model."""
    parser.add_argument("source", metavar="mlflow URI | FILE", nargs="+", help="a model of MLflow's, or an archive")
    group = parser.add_argument_group("MLflow models")
    group.add_argument("--name", help="the name it gets; NAME:VERSION chooses the version too")
    group.add_argument("--version", help="its version [the time, in digits]")
    group.add_argument("-l", "--label", metavar="KEY=VALUE", type=pair, action="append", help="a label")
    group.add_argument(
        "--metadata", metavar="KEY=JSON|FILE", action="append", help="something to note of it, or a file of such (JSON)"
    )
    group.add_argument(
        "--with-run", action="store_true", default=None, help="note parameters, metrics and tags of its run"
    )
    group.add_argument("-f", "--runtime", metavar="FLAVOR", help="serve it by this flavor or runtime")
    group.add_argument("--batch", metavar="N", type=int, help="most rows of a batch; several requests are run as one")
    group.add_argument("--batch-time", metavar="SECONDS", type=float, help="longest wait to fill a batch")
    group.add_argument(
        "--enforce-inputs",
        dest="enforce",
        action="store_true",
        default=None,
        help="refuse inputs that are not those of its signature",
    )
    group.add_argument("--set", metavar="KEY=JSON", type=pair, action="append", help="a key of its model-settings.json")


def import_one(store: ModelStore, given: argparse.Namespace) -> StoredModel:
    """Import what the words name. Raises OIPError and UsageError."""
    source: list[str] = given.source
    if source[0] == _MLFLOW and len(source) == 2:
        return import_mlflow_model(store, _tag(given), source[1], _options(given))
    if len(source) > 1 or source[0] == _MLFLOW:
        raise _wrong(f"expected 'mlflow URI' or a FILE, got '{' '.join(source)}'")
    for name in _OF_MLFLOW:
        if getattr(given, name) is not None:
            raise _wrong(f"--{name.replace('_', '-')} is for MLflow models: an archive says all of itself")
    return import_model(store, Path(source[0]))


def _tag(given: argparse.Namespace) -> Tag:
    if not given.name:
        raise _wrong("--name is missing: what is the model to be called?")
    tag = Tag.parse(given.name)
    if given.version is None:
        return tag
    if tag.version:
        raise _wrong(f"--name {tag} and --version {given.version} name the version twice")
    return Tag.parse(f"{tag.name}:{given.version}")


def _options(given: argparse.Namespace) -> ImportOptions:
    settings = {key: _value(text) for key, text in given.set or ()}
    batching = {"max_batch_size": given.batch, "max_batch_time": given.batch_time}
    settings |= {key: value for key, value in batching.items() if value is not None}
    return ImportOptions(
        dict(given.label or ()),
        _metadata(given.metadata or ()),
        settings,
        given.runtime or "",
        bool(given.with_run),
        bool(given.enforce),
    )


def _metadata(given: Any) -> dict[str, Any]:
    metadata: dict[str, Any] = {}
    for text in given:
        key, equals, value = text.partition("=")
        if equals and key:
            metadata[key] = _value(value)
        elif Path(text).is_file():
            metadata |= read_json_object(Path(text))
        else:
            raise InvalidArgumentError(f"--metadata: expected KEY=JSON or a file of JSON, got '{text}'")
    return metadata


def _value(text: str) -> Any:
    """JSON where it is, text where it is not."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _wrong(message: str) -> UsageError:
    return UsageError(see_help(message, "oipserver models import"))
