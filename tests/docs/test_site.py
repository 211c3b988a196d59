"""The site of docs/ builds without a warning, has every page, and fetches nothing from elsewhere."""

from __future__ import annotations

import html
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from docs.readme_command import command

ROOT = Path(__file__).parents[2]
PAGES = {path.name for path in (ROOT / "docs").glob("*.md")}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def listed(nav: list[Any]) -> Iterator[str]:
    for entry in nav:
        for target in entry.values():
            yield from [target] if isinstance(target, str) else listed(target)


def test_every_page_is_in_the_navigation_once() -> None:
    pages = list(listed(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]))
    assert sorted(pages) == sorted(PAGES)


def test_every_page_is_built(site: Path) -> None:
    for page in PAGES:
        folder = site if page == "index.md" else site / page.removesuffix(".md")
        title = (ROOT / "docs" / page).read_text().partition("\n")[0].removeprefix("# ").replace("`", "")
        built = (folder / "index.html").read_text()
        text = re.sub(r"<[^>]+>", "", built)
        assert html.escape(title, quote=False) in text
        assert "$ROOT" not in built  # comments are for the tests
    assert not list(site.rglob("*.py"))


def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    for path in site.rglob("*.html"):
        fetched = re.findall(r"<(?:script|img|link)[^>]* (?:src|href)=\"?(https?:[^\" >]*)", path.read_text())
        assert not fetched, path


def test_the_first_page_has_the_readmes_commands() -> None:
    text = (ROOT / "docs" / "index.md").read_text()
    for label in ("serve", "ask"):
        assert command(label, text) == command(label)


def test_links_into_the_repository_are_their_text(site: Path) -> None:
    outward = {page: re.findall(r"\]\((\.\./[^)]+)\)", (ROOT / "docs" / page).read_text()) for page in PAGES}
    assert any(outward.values())
    for page, links in outward.items():
        assert all((ROOT / "docs" / link).exists() for link in links), page
        text = (site / page.removesuffix(".md") / "index.html").read_text() if page != "index.md" else ""
        assert not [link for link in links if f'href="{link}"' in text]
