"""What docs/images.md, docs/deployment.md and docs/migrating-from-triton.md say is so: commands, settings, metrics."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import yaml

from oipserver.build.kserve import FORMATS, OWN_FORMAT
from oipserver.cli import main
from oipserver.cli.triton_flags import FLAGS
from oipserver.settings import ModelSettings, Settings
from oipserver.settings.sources import option_name

DOCS = Path(__file__).parents[2] / "docs"
PAGES = ("images.md", "deployment.md", "migrating-from-triton.md", "index.md")
TEXTS = {page: (DOCS / page).read_text() for page in PAGES}


def commands(page: str, verb: str) -> list[list[str]]:
    blocks = re.findall(r"```sh\n(.*?)```", TEXTS[page], re.DOTALL)
    lines = [shlex.split(line) for block in blocks for line in block.splitlines()]
    return [words[1:] for words in lines if words[:2] == ["oipserver", verb]]


@pytest.mark.parametrize("words", commands("images.md", "build"), ids=shlex.join)
def test_build(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """With `true` for every builder, which is as far as a machine without images gets; test_image.py has the rest."""
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "net.onnx").touch()
    (tmp_path / "wheels").mkdir()
    (tmp_path / "bin").mkdir()
    for name in ("podman", "docker"):
        (tmp_path / "bin" / name).symlink_to("/bin/true")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.chdir(tmp_path)
    assert main(words) == 0
    assert words[3] in capfd.readouterr().out


@pytest.mark.parametrize("words", commands("deployment.md", "kserve"), ids=shlex.join)
def test_kserve(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "models").mkdir()
    monkeypatch.chdir(tmp_path)
    assert main(words) == 0
    assert yaml.safe_load(capsys.readouterr().out)["kind"] in ("ClusterServingRuntime", "InferenceService")


def test_the_formats_are_those_of_the_runtime() -> None:
    (told,) = re.findall(r"for the formats (.*?), and an", TEXTS["deployment.md"], re.DOTALL)
    assert set(re.findall(r"`(\w+)`", told)) == {*FORMATS, OWN_FORMAT}


def test_every_flag_and_setting_exists() -> None:
    known = {option_name(field) for field in Settings.model_fields} | set(FLAGS)
    told = set(re.findall(r"(--[a-z][a-z-]+)", TEXTS["migrating-from-triton.md"]))
    assert {each.replace("--no-", "--") for each in told} <= known
    names = set(re.findall(r"`([a-z]+(?:_[a-z]+)+)`", TEXTS["deployment.md"]))
    metrics = {name for name in names if name in (DOCS / "metrics.md").read_text()}
    assert names - metrics <= set(Settings.model_fields) | set(ModelSettings.model_fields)


def test_the_adapters_rule_is_yaml_about_the_autoscalers_metric() -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", TEXTS["deployment.md"], re.DOTALL)
    (rule,) = yaml.safe_load(block)["rules"]
    autoscaler = yaml.safe_load((DOCS.parent / "deploy" / "prometheus" / "autoscaler.yaml").read_text())
    assert rule["seriesQuery"].startswith(autoscaler["spec"]["metrics"][0]["pods"]["metric"]["name"] + "{")
