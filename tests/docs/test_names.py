"""What the pages name exists: settings, flags, metrics, commands, formats, backends, and where their links lead."""

from __future__ import annotations

import re

import pytest

from oipserver.build.kserve import FORMATS, OWN_FORMAT
from oipserver.cli import main
from oipserver.cli.store import VERBS
from oipserver.cli.triton_flags import FLAGS
from oipserver.configuration import DEFAULT_FILES
from oipserver.configuration.backends import BACKENDS
from oipserver.settings import ModelSettings, Settings
from oipserver.settings.sources import option_name
from tests.docs.blocks import PAGES

TEXTS = {page.name: page.read_text() for page in PAGES if page.parent.name == "docs"}
OPTIONS = {option_name(field) for field in Settings.model_fields}


def test_links_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_settings_in_tables() -> None:
    for page in ("batching.md", "python-models.md"):
        for row in re.findall(r"^\| (`[^|]+) \|", TEXTS[page], re.MULTILINE):
            for name in re.findall(r"`(?:parameters\.)?([a-z_]+)`", row):
                assert f"`{name}`" in TEXTS["settings.md"], f"{page} names {name}"


def test_settings_and_metrics_in_words() -> None:
    names = set(re.findall(r"`([a-z]+(?:_[a-z]+)+)`", TEXTS["deployment.md"]))
    metrics = {name for name in names if name in TEXTS["metrics.md"]}
    assert metrics
    assert names - metrics <= set(Settings.model_fields) | set(ModelSettings.model_fields)


@pytest.mark.parametrize("page", ["migrating-from-triton.md", "triton-repository.md"])
def test_flags_in_words(page: str) -> None:
    told = set(re.findall(r"(--[a-z][a-z-]+)", TEXTS[page]))
    assert {each.replace("--no-", "--") for each in told} <= OPTIONS | set(FLAGS)


def test_tritons_flags() -> None:
    table = TEXTS["model-repository.md"].partition("| flag |")[2]
    assert set(re.findall(r"`(--[a-z-]+)`", table)) <= OPTIONS | set(FLAGS)
    rows = [line.split("|")[2] for line in table.splitlines() if line.startswith("| `--")]
    assert {name for row in rows for name in re.findall(r"`([a-z_]+)`", row)} <= set(Settings.model_fields)


def test_tritons_backends() -> None:
    page = TEXTS["triton-repository.md"]
    rows = re.findall(r"^\| (?:`(\w+)`)? *\| (?:`(\w+)`)? *\| (?:`([\w.]+)`)? *\|", page, re.MULTILINE)
    served = {(each.name, each.platform, each.filename) for each in BACKENDS if each.implementation}
    assert set(rows) - {("", "", "")} >= served
    assert {file for _, _, file in served if file} <= DEFAULT_FILES


def test_formats_of_kserve() -> None:
    (told,) = re.findall(r"for the formats (.*?), and an", TEXTS["deployment.md"], re.DOTALL)
    assert set(re.findall(r"`(\w+)`", told)) == {*FORMATS, OWN_FORMAT}


def test_options_of_infer(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["infer", "--help"])
    known = set(re.findall(r"--?[a-zA-Z][a-z-]*", capsys.readouterr().out))
    table = TEXTS["batch-inference.md"].partition("| option |")[2].partition("\n\n")[0]
    told = {word for row in table.splitlines() for word in re.findall(r"`(--?[a-zA-Z-]+)`", row.split("|")[1])}
    assert len(told) > 20
    assert told - {"-vv"} <= known


def test_verbs_and_options_of_the_store(capsys: pytest.CaptureFixture[str]) -> None:
    page = TEXTS["model-store.md"]
    assert set(re.findall(r"`(?:oipserver )?models ([a-z]+)[ `]", page)) == set(VERBS)
    with pytest.raises(SystemExit):
        main(["models", "import", "--help"])
    known = set(re.findall(r"--[a-z-]+", capsys.readouterr().out))
    table = page[page.index("| option |") : page.index("ONNX models go to")]
    told = set(re.findall(r"--[a-z-]+", table)) - {"---"}
    assert told <= known
    assert known - told <= {"--help", "--store", "--label", "--runtime"}, "-l and -f are told by their short names"
