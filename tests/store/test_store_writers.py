"""Several processes write to one store, and some of them die."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from oipserver.errors import OIPError
from oipserver.store import Draft, ModelStore

_HEAD = """
import sys
from pathlib import Path
from oipserver.errors import AlreadyExistsError
from oipserver.store import Draft, ModelStore

store = ModelStore(sys.argv[1])

def fill(folder):
    (folder / "weights").mkdir()
    (folder / "weights" / "model.bin").write_text(sys.argv[2] * 1000)
    return Draft({"implementation": "identity", "parameters": {"uri": "weights"}})

def wait():
    print("ready", flush=True)
    sys.stdin.read()
"""
_GENERATED = _HEAD + 'wait()\nfor _ in range(12):\n    store.add("iris", fill)\n'
_SAME = (
    _HEAD
    + """
wait()
won = 0
for number in range(12):
    try:
        store.add(f"iris:{number}", fill)
        won += 1
    except AlreadyExistsError:
        pass
print(won)
"""
)
_STUCK = (
    _HEAD
    + """
def stuck(folder):
    fill(folder)
    print(folder, flush=True)
    sys.stdin.read()
    return Draft({"implementation": "identity"})

store.add("iris:1", stuck)
"""
)
_DELETER = _HEAD + 'wait()\nfor _ in range(12):\n    store.delete(str(store.add("iris", fill)))\n'


def start(code: str, root: Path, text: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, str(root), text], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def run_together(root: Path, *codes: str) -> list[str]:
    """What each process prints; all of them begin when the last one is ready to."""
    writers = [start(code, root, chr(ord("a") + number)) for number, code in enumerate(codes)]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.close()
        writer.stdin = None
    printed = [writer.communicate(timeout=60)[0] for writer in writers]
    assert [writer.returncode for writer in writers] == [0] * len(codes)
    return printed


def test_two_writers_make_versions_of_their_own(tmp_path: Path) -> None:
    run_together(tmp_path, _GENERATED, _GENERATED)
    models = ModelStore(tmp_path).models("iris")
    assert len({model.version for model in models}) == 24
    for model in models:
        model.verify()


def test_one_of_two_writers_gets_a_version(tmp_path: Path) -> None:
    won = run_together(tmp_path, _SAME, _SAME)
    assert sum(map(int, won)) == 12
    store = ModelStore(tmp_path)
    for number in range(12):
        store.get(f"iris:{number}").verify()
        text = (tmp_path / "iris" / str(number) / "weights" / "model.bin").read_text()
        assert text in ("a" * 1000, "b" * 1000)


def test_the_last_version_leaves_while_another_comes(tmp_path: Path) -> None:
    run_together(tmp_path, _GENERATED, _DELETER)
    models = ModelStore(tmp_path).models("iris")
    assert len(models) == 12
    for model in models:
        model.verify()


def test_a_writer_that_is_killed_leaves_nothing_to_be_seen(tmp_path: Path) -> None:
    writer = start(_STUCK, tmp_path, "a")
    assert writer.stdout is not None
    staging = Path(writer.stdout.readline().strip())
    assert (staging / "weights" / "model.bin").exists()
    store = ModelStore(tmp_path)
    add(store, "wine:1")
    assert staging.exists(), "its writer lives"
    writer.send_signal(signal.SIGKILL)
    writer.communicate(timeout=30)
    assert [str(model) for model in store.models()] == ["wine:1"]
    with pytest.raises(OIPError, match="there is no 'iris:1'"):
        store.get("iris:1")
    add(store, "iris:1")
    assert not staging.exists(), "the next writer cleans up"
    assert list((tmp_path / ".staging").iterdir()) == []


def add(store: ModelStore, tag: str) -> None:
    def fill(folder: Path) -> Draft:
        (folder / "model.bin").write_text("x")
        return Draft({"implementation": "identity"})

    store.add(tag, fill)
