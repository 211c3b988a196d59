"""The image classifier, step by step as its README walks: start, look, ask in Python; and what its settings promise."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from oipserver.codecs import NumpyCodec
from oipserver.types import InferenceRequest
from tests.conftest import EXAMPLES, ROOT
from tests.support.server_process import ServerProcess

pytest.importorskip("PIL", reason="the example opens pictures with Pillow")
from PIL import Image

pytestmark = pytest.mark.process

FOLDER = EXAMPLES / "image-classifier"
README = (FOLDER / "README.md").read_text()
PICTURE = np.array(Image.open(FOLDER / "picture.png"))


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with ServerProcess(FOLDER) as started:
        yield started


def shown(language: str, number: int = 0) -> str:
    """The README's ``number``-th block of a language."""
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
    return [text for name, text in blocks if name == language][number]


def ask(server: ServerProcess, payload: np.ndarray[Any, Any]) -> dict[str, Any]:
    request = InferenceRequest(inputs=[NumpyCodec.encode_input(name="payload", payload=payload)])
    answer = httpx.post(server.url("/v2/models/image-classifier/infer"), json=request.dict(), timeout=60)
    assert answer.status_code == 200, answer.text
    output: dict[str, Any] = answer.json()["outputs"][0]
    return output


def test_it_starts_as_its_settings_say(server: ServerProcess) -> None:
    assert "oipserver start examples/image-classifier" in README
    assert re.search(r"image-classifier +- +READY .* 2 workers", server.output)


def test_the_metadata_are_those_shown(server: ServerProcess) -> None:
    assert server.get("/v2/models/image-classifier").text == shown("json").strip()


def test_the_python_client_prints_what_is_shown(
    server: ServerProcess, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("requests", reason="the README asks with requests")
    monkeypatch.chdir(ROOT)
    client = shown("python").replace("localhost:8080", server.http)
    exec(compile(client, "README.md", "exec"), {})
    assert capsys.readouterr().out == shown("")


@pytest.mark.parametrize("size", [(32, 32), (200, 120)])
def test_a_picture_of_any_size_has_five_labels(size: tuple[int, int], server: ServerProcess) -> None:
    output = ask(server, np.array(Image.fromarray(PICTURE).resize(size)))
    assert (output["name"], output["datatype"], output["shape"]) == ("output-0", "BYTES", [5, 1])
    assert output["data"][0] == "green triangle"


def test_pictures_asked_about_together_get_their_own_labels(server: ServerProcess) -> None:
    """Batched or alone, shuffled among each other: every answer is the one its picture has alone."""
    pictures = [np.ascontiguousarray(PICTURE[:, :, channels]) for channels in ([0, 1, 2], [1, 0, 2], [2, 0, 1])]
    alone = [ask(server, picture)["data"] for picture in pictures]
    assert len({labels[0] for labels in alone}) == 3
    with ThreadPoolExecutor(8) as threads:
        rows = list(threads.map(lambda turn: ask(server, pictures[turn % 3][np.newaxis]), range(24)))
    for turn, output in enumerate(rows):
        assert output["shape"] == [1, 5]
        assert output["data"] == alone[turn % 3]


def test_what_is_no_picture_is_refused_and_harms_nobody(server: ServerProcess) -> None:
    request = {"inputs": [{"name": "picture", "shape": [1], "datatype": "UINT8", "data": [1]}]}
    refused = server.infer("image-classifier", request)
    assert refused.status_code == 400
    assert "'picture' was not found. Available inputs are 'payload'" in refused.json()["error"]
    assert ask(server, PICTURE)["data"][0] == "green triangle"


def test_it_is_the_same_written_for_mlserver(tmp_path: Path, serve: Callable[..., ServerProcess]) -> None:
    folder = tmp_path / "classifier"
    shutil.copytree(FOLDER, folder)
    code = (folder / "serve-model.py").read_text().replace("from oipserver", "from mlserver")
    assert "oipserver" not in code
    (folder / "serve-model.py").write_text(code)
    assert ask(serve(folder), PICTURE)["data"][0] == "green triangle"


def test_the_hub_variant_is_python() -> None:
    compile(shown("python", 1), "README.md", "exec")


def test_the_readme_names_files_that_exist() -> None:
    for name in re.findall(r"examples/image-classifier/([\w.-]+)", README):
        assert Path(FOLDER / name).is_file(), name
