"""What the pages of docs/ show is so: their files are served, their requests answered as they say."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.support.server_process import ServerProcess

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
BLOCK = re.compile(r"<!-- (file|request|answer): (\S+) -->\s*```\w*\n(.*?)```", re.DOTALL)


def blocks(page: str, kind: str) -> dict[str, str]:
    found = {name: text for what, name, text in BLOCK.findall((DOCS / page).read_text()) if what == kind}
    assert found, f"{page} shows no {kind}"
    return found


def write_files(page: str, folder: Path) -> None:
    for name, text in blocks(page, "file").items():
        (folder / name).write_text(text)


@pytest.mark.process
def test_python_models(tmp_path: Path, serve: Callable[..., ServerProcess]) -> None:
    write_files("python-models.md", tmp_path)
    server = serve(tmp_path)
    for name, text in blocks("python-models.md", "request").items():
        answer = server.infer(name, json.loads(text))
        assert answer.text == blocks("python-models.md", "answer")[name].strip()


@pytest.mark.process
@pytest.mark.parametrize("page", ["onnx.md", "batching.md"])
def test_settings_of_onnx_models(page: str, tmp_path: Path, serve: Callable[..., ServerProcess]) -> None:
    write_files(page, tmp_path)
    shutil.copy(ROOT / "examples" / "onnx-add" / "model.onnx", tmp_path)
    server = serve(tmp_path)
    request = json.loads((ROOT / "examples" / "onnx-add" / "request.json").read_text())
    expected = json.loads((ROOT / "examples" / "onnx-add" / "expected.json").read_text())
    answer = server.infer("adder", request).json()
    assert answer["outputs"][0]["data"] == expected["outputs"][0]["data"]


@pytest.mark.process
def test_classification(tmp_path: Path, serve: Callable[..., ServerProcess]) -> None:
    write_files("classification.md", tmp_path)
    server = serve(tmp_path)
    for name, text in blocks("classification.md", "request").items():
        answer = server.infer(name, json.loads(text))
        assert answer.text == blocks("classification.md", "answer")[name].strip()


@pytest.mark.process
def test_generate(tmp_path: Path, serve: Callable[..., ServerProcess]) -> None:
    write_files("generate.md", tmp_path)
    server = serve(tmp_path)
    for route, text in blocks("generate.md", "request").items():
        answer = httpx.post(server.url(f"/v2/models/greeter/{route}"), content=text, timeout=30)
        assert answer.text.strip() == blocks("generate.md", "answer")[route].strip()


@pytest.mark.process
@pytest.mark.parametrize("page", ["models-calling-models.md", "python-backend.md"])
def test_models_in_folders(page: str, tmp_path: Path, serve: Callable[..., ServerProcess]) -> None:
    for name, text in blocks(page, "file").items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    server = serve(tmp_path)
    for name, text in blocks(page, "request").items():
        answer = server.infer(name, json.loads(text))
        assert answer.text == blocks(page, "answer")[name].strip()


def test_links_lead_somewhere() -> None:
    for page in [*DOCS.glob("*.md"), ROOT / "README.md"]:
        for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_settings_named_in_the_pages_exist() -> None:
    known = (DOCS / "settings.md").read_text()
    for page in ("batching.md", "python-models.md"):
        for row in re.findall(r"^\| (`[^|]+) \|", (DOCS / page).read_text(), re.MULTILINE):
            for name in re.findall(r"`(?:parameters\.)?([a-z_]+)`", row):
                assert f"`{name}`" in known, f"{page} names {name}"
