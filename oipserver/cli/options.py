"""One option for every server setting, made from the setting's own description; knows no value."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from ..settings import Resolved, Settings, resolve_settings
from ..settings.coercion import arms, choices, is_list, is_object, parse_list
from ..settings.sources import option_name
from .parser import Parser

EPILOG = (
    "Every option is also a variable, OIPSERVER_HTTP_PORT for --http-port (MLSERVER_HTTP_PORT works too), and a key of "
    "settings.json in the folder, http_port. Options win over variables, variables over the file."
)
_IS_ARGUMENT = "model_repository_root"  # named by the DIR of every command instead
_GROUPS = {  # the first setting of each
    "server_name": "identity",
    "host": "listening",
    "load_models_at_startup": "models",
    "parallel_workers": "execution",
    "debug": "observability",
}


def add_settings(parser: Parser) -> None:
    """Add the folder and an option for every setting."""
    text = "folder of models, one .onnx file, or an MLflow URI"
    parser.add_argument("root", metavar="DIR", nargs="?", type=Path, help=text)
    group: argparse._ArgumentGroup | None = None
    for name, field in Settings.model_fields.items():
        if name in _GROUPS:
            group = parser.add_argument_group(_GROUPS[name])
        if name != _IS_ARGUMENT:
            assert group is not None, "the first setting opens a group"
            _add(group, name, field)


def _add(group: argparse._ArgumentGroup, name: str, field: FieldInfo) -> None:
    text = f"{field.description}{_default(field)}".replace("%", "%%")
    kinds = arms(field.annotation)
    if bool in kinds:
        group.add_argument(
            option_name(name), action=argparse.BooleanOptionalAction, default=argparse.SUPPRESS, help=text
        )
        return
    group.add_argument(
        option_name(name),
        action="append" if is_list(field.annotation) else "store",
        default=argparse.SUPPRESS,
        metavar=_metavar(field.annotation),
        help=text,
    )


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    if value in (None, "", [], PydanticUndefined):
        return ""
    return f" [{value if isinstance(value, str) else json.dumps(value)}]"


def _metavar(annotation: object) -> str:
    if words := choices(annotation):
        return "|".join(words)
    if is_list(annotation):
        return "A,B"
    kinds = arms(annotation)
    if int in kinds:
        return "N"
    if float in kinds:
        return "SECONDS"
    if any(map(is_object, kinds)):
        return "TEXT|JSON" if str in kinds else "JSON"
    return "TEXT"


def resolve(namespace: argparse.Namespace) -> Resolved:
    """Settings from what was parsed and everything else they come from. Raises OIPError."""
    given: dict[str, Any] = {name: value for name, value in vars(namespace).items() if name in Settings.model_fields}
    root: Path | None = namespace.root
    if root is None and (texts := given.get("model_repositories")):  # the first one is the root then
        first, *given["model_repositories"] = [
            folder for text in texts for folder in parse_list(text, "--model-repositories")
        ]
        root = Path(first)
    return resolve_settings(root, given)
