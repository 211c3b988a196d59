"""The verbs of ``oipserver models``: words in, the model store asked, text out; stores nothing itself."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..build.yaml_text import yaml_documents
from ..store import ModelStore, StoredModel, Tag, export_model, pull, push
from .parser import Parser, UsageError, see_help
from .report import terminal_width
from .store_import import add_import_options, import_one, pair
from .table import table

_HEADER = ("TAG", "ALIASES", "RUNTIME", "SIZE", "CREATED", "LABELS")
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def _parser(verb: str, usage: str, description: str) -> Parser:
    parser = Parser(f"oipserver models {verb}", description)
    parser.usage = f"oipserver models {verb} {usage}"
    parser.add_argument(
        "--store", metavar="DIR", type=Path, help="the store [$OIPSERVER_HOME/models, or ~/.oipserver/models]"
    )
    return parser


def _list(arguments: Sequence[str]) -> int:
    parser = _parser("list", "[NAME] [-l KEY=VALUE]... [-o FORMAT]", "List the stored models, the newest first.")
    parser.add_argument("name", metavar="NAME", nargs="?", default="", help="this model alone")
    parser.add_argument(
        "-l", "--label", metavar="KEY=VALUE", type=pair, action="append", default=[], help="those with this label"
    )
    parser.add_argument("-o", "--output", choices=("table", "json", "yaml"), default="table", help="[table]")
    given = parser.parse(arguments)
    store = ModelStore(given.store)
    models = store.models(given.name, dict(given.label))
    if given.output != "table":
        _print([{key: value for key, value in each.describe().items() if key != "files"} for each in models], given)
    elif models:
        print("\n".join(table(_HEADER, [_row(model) for model in models], terminal_width())))
    else:
        print(f"no models {f'called {given.name!r} ' if given.name else ''}in {store.root}")
    return 0


def _row(model: StoredModel) -> tuple[str, ...]:
    labels = ", ".join(f"{key}={value}" for key, value in model.labels.items())
    runtime = str(model.record.source.get("runtime", model.record.module))
    created = f"{model.created:%Y-%m-%d %H:%M:%S}"
    return str(model.tag), ", ".join(model.aliases), runtime, _size(model.record.size), created, labels


def _size(size: float) -> str:
    for unit in _UNITS:
        if size < 1024 or unit == _UNITS[-1]:
            break
        size /= 1024
    return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"


def _get(arguments: Sequence[str]) -> int:
    parser = _parser("get", "TAG [-o path|json|yaml] [--verify]", "Tell what is known of a stored model.")
    parser.add_argument("tag", metavar="TAG", help="NAME, NAME:VERSION, NAME:latest or NAME@ALIAS")
    parser.add_argument("-o", "--output", choices=("yaml", "json", "path"), default="yaml", help="[yaml]")
    parser.add_argument("--verify", action="store_true", help="fail where its files are not what was stored")
    given = parser.parse(arguments)
    model = ModelStore(given.store).get(given.tag)
    if given.verify:
        model.verify()
    if given.output == "path":
        print(model.path)
    else:
        _print(model.describe(), given)
    return 0


def _print(value: Any, given: argparse.Namespace) -> None:
    if given.output == "json":
        print(json.dumps(value, indent=2))
    else:
        print(yaml_documents(value if isinstance(value, list) else [value]), end="")


def _import(arguments: Sequence[str]) -> int:
    parser = _parser("import", "mlflow URI --name NAME [options] | FILE", "Store an MLflow model, or an archive.")
    add_import_options(parser)
    given = parser.parse(arguments)
    print(f"imported {import_one(ModelStore(given.store), given)}")
    return 0


def _export(arguments: Sequence[str]) -> int:
    parser = _parser("export", "TAG FILE", "Write a stored model into an archive.")
    parser.add_argument("tag", metavar="TAG")
    parser.add_argument("file", metavar="FILE", type=Path, help="a new .tar.gz, .tgz or .tar, or a folder for one")
    given = parser.parse(arguments)
    model = ModelStore(given.store).get(given.tag)
    print(f"exported {model} to {export_model(model, given.file)}")
    return 0


def _alias(arguments: Sequence[str]) -> int:
    parser = _parser("alias", "TAG ALIAS | --delete NAME ALIAS", "Have NAME@ALIAS mean a version.")
    parser.add_argument("tag", metavar="TAG")
    parser.add_argument("alias", metavar="ALIAS")
    parser.add_argument("-d", "--delete", action="store_true", help="have it mean nothing")
    given = parser.parse(arguments)
    store, tag = ModelStore(given.store), Tag.parse(given.tag)
    if given.delete:
        store.delete_alias(tag.name, given.alias)
        print(f"deleted {tag.name}@{given.alias}")
    else:
        print(f"{tag.name}@{given.alias} is {store.set_alias(tag, given.alias)}")
    return 0


def _delete(arguments: Sequence[str]) -> int:
    parser = _parser("delete", "TAG... [-y] [--force]", "Take models out of the store.")
    parser.add_argument("tags", metavar="TAG", nargs="+", help="NAME:VERSION; with -y also NAME, all its versions")
    parser.add_argument("-y", "--yes", action="store_true", help="do delete all versions of a model")
    parser.add_argument("--force", action="store_true", help="delete versions that have an alias too")
    given = parser.parse(arguments)
    store = ModelStore(given.store)
    doomed: list[StoredModel] = []
    for tag in map(Tag.parse, given.tags):
        if not tag.version and not given.yes:
            raise UsageError(see_help(f"'{tag}' would delete all its versions: name one, or say --yes", parser.prog))
        # Looked up before the first goes: a tag that is wrong deletes nothing.
        doomed += [store.get(tag)] if tag.version or not store.models(tag.name) else store.models(tag.name)
    for model in {str(model): model for model in doomed}.values():
        store.delete(model.tag, force=given.force)
        print(f"deleted {model}")
    return 0


def _push(arguments: Sequence[str]) -> int:
    parser = _parser("push", "TAG URI", "Copy a stored model into a store elsewhere.")
    parser.add_argument("tag", metavar="TAG")
    parser.add_argument("uri", metavar="URI", help="that store: a folder, s3://..., gs://...")
    given = parser.parse(arguments)
    model = ModelStore(given.store).get(given.tag)
    print(f"pushed {model} to {push(model, given.uri)}")
    return 0


def _pull(arguments: Sequence[str]) -> int:
    parser = _parser("pull", "TAG URI", "Copy a model from a store elsewhere.")
    parser.add_argument("tag", metavar="TAG", help="NAME (the newest), or NAME:VERSION")
    parser.add_argument("uri", metavar="URI", help="that store: a folder, s3://..., gs://...")
    given = parser.parse(arguments)
    print(f"pulled {pull(ModelStore(given.store), given.tag, given.uri)}")
    return 0


VERBS: dict[str, Callable[[Sequence[str]], int]] = {
    "list": _list,
    "get": _get,
    "import": _import,
    "export": _export,
    "alias": _alias,
    "delete": _delete,
    "push": _push,
    "pull": _pull,
}
