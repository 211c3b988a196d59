"""Writes the pages of docs/ that follow from the code and its tests; ``--check`` fails where one has drifted."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from prometheus_client.registry import Collector
from pydantic import BaseModel

from oipserver.plane.cache import ResponseCache
from oipserver.settings import CORSSettings, ModelParameters, ModelSettings, Settings
from oipserver.telemetry.cache_metrics import CacheMetrics
from oipserver.telemetry.model_metrics import ModelMetrics
from oipserver.telemetry.pool_metrics import PoolMetrics
from oipserver.telemetry.server_metrics import GrpcMetrics, RestMetrics
from oipserver.telemetry.triton_metrics import TritonMetrics

FOLDER = Path(__file__).parent


def _type_name(annotation: object) -> str:
    name = annotation.__name__ if isinstance(annotation, type) else str(annotation)
    return (
        name.replace("typing.", "").replace("oipserver.settings.model.", "").replace("oipserver.settings.server.", "")
    )


def _rows(model: type[BaseModel]) -> Iterable[str]:
    for name, field in model.model_fields.items():
        default: Any = field.get_default(call_default_factory=True, validated_data={})
        shown = "see below" if isinstance(default, BaseModel) else f"`{default!r}`"
        kind = _type_name(field.annotation).replace("|", "\\|")
        yield f"| `{name}` | `{kind}` | {shown} | {field.description or ''} |"


def _table(title: str, intro: str, model: type[BaseModel]) -> str:
    head = ["| setting | type | default | meaning |", "|---|---|---|---|"]
    head = ["| setting | type | default | meaning |", "|---|---|---|---|"]
    return "\n".join([f"## {title}", "", intro, "", *head, *_rows(model)])


def settings_page() -> str:
    """docs/settings.md from the field descriptions."""
    return (
        "\n\n".join(
            [
                "# Settings",
                "<!-- Written by docs/generate.py from the code: change the field descriptions, not this page. -->",
                "Where a value comes from, first found wins: command line, environment, the file `.env` in the "
                "working directory, settings file, default. This prints every value and its source:",
                '<!-- setup: cp -r "$ROOT/examples/digits" models -->\n<!-- run -->\n'
                "```sh\noipserver config show models\n```",
                "<!-- answer -->\n```\nSETTING   ... VALUE   ... SOURCE\n"
                'server_name ... "oipserver" ... default\n...\n```',
                _table(
                    "The server: `settings.json`",
                    "On the command line `--name-with-dashes`, in the environment `OIPSERVER_NAME` or `MLSERVER_NAME`.",
                    Settings,
                ),
                _table("`cors_settings`", "Access by browsers.", CORSSettings),
                _table(
                    "A model: `model-settings.json`",
                    "In the environment `OIPSERVER_MODEL_NAME` or `MLSERVER_MODEL_NAME`, where the file does not say.",
                    ModelSettings,
                ),
                _table("`parameters` of a model", "Other keys are kept for the runtime.", ModelParameters),
            ]
        )
        + "\n"
    )


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def migration_page() -> str:
    """docs/migrating-from-mlserver.md: the words around it here, its tables from the test's allow-list."""
    listed = json.loads((FOLDER.parent / "tests" / "differential" / "differences.json").read_text())
    settings = [f"| `{row['name']}` | `{row['value']}` | {_cell(row['default'])} |" for row in listed["settings"]]
    differences = [
        f"| {_cell(row['mlserver'])} | {_cell(row['oipserver'])} | {_cell(row['reason'])} |"
        for row in listed["differences"]
    ]
    text = (FOLDER / "templates" / "migrating-from-mlserver.md").read_text()
    return text.replace("{settings}", "\n".join(settings)).replace("{differences}", "\n".join(differences))


def triton_differences_page() -> str:
    """docs/triton-differences.md: the words around it here, its table from the test's allow-list."""
    listed = json.loads((FOLDER.parent / "tests" / "differential_triton" / "differences.json").read_text())
    differences = [
        f"| {_cell(row['triton'])} | {_cell(row['oipserver'])} | {_cell(row['reason'])} |"
        for row in listed["differences"]
    ]
    text = (FOLDER / "templates" / "triton-differences.md").read_text()
    return text.replace("{differences}", "\n".join(differences))


def _families(collector: Collector) -> Iterable[str]:
    """One row for each metric that a collector declares, by the names its samples have."""
    for family in collector.describe():
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = ", ".join(f"`{label}`" for label in getattr(family, "_labelnames"))  # noqa: B009
        yield f"| `{name}` | {family.type} | {labels or 'none'} | {_cell(family.documentation)} |"


def metrics_page() -> str:
    """docs/metrics.md from what the collectors declare."""
    settings = Settings()
    groups = {
        "Models": ModelMetrics([]),
        "Worker pools": PoolMetrics(list),
        "The response cache, where there is one": CacheMetrics(ResponseCache(1, 1)),
        "REST": RestMetrics(settings.metrics_rest_server_prefix, settings.server_name, frozenset()),
        "gRPC": GrpcMetrics(),
        "In Triton's names, unless `triton_metrics` is false": TritonMetrics([]),
    }
    head = ["| metric | type | labels | meaning |", "|---|---|---|---|"]
    tables = ["\n".join([f"## {title}", "", *head, *_families(group)]) for title, group in groups.items()]
    words = (FOLDER / "templates" / "metrics.md").read_text()
    return words.replace("{tables}", "\n\n".join(tables))


PAGES = {
    "metrics.md": metrics_page,
    "settings.md": settings_page,
    "migrating-from-mlserver.md": migration_page,
    "triton-differences.md": triton_differences_page,
}


def main(arguments: list[str]) -> int:
    """Write every page, or compare it with what is there. Returns the exit code."""
    drifted = []
    for name, make in PAGES.items():
        path, text = FOLDER / name, make()
        if "--check" not in arguments:
            path.write_text(text)
        elif not path.exists() or path.read_text() != text:
            drifted.append(name)
    for name in drifted:
        print(f"docs/{name} has drifted from the code: run python docs/generate.py", file=sys.stderr)  # noqa: T201
    return 1 if drifted else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
