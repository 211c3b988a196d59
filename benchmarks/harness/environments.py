"""Virtual environments the peers live in, made on demand with pinned versions; knows no server's settings."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1] / ".venvs"

#: What is installed for each peer: one list of pip arguments after another.
REQUIREMENTS: dict[str, list[list[str]]] = {
    # Without the two caps MLServer 1.7.1 does not start its workers, and its pandas codec fails.
    "mlserver": [["mlserver==1.7.1", "uvloop<0.22", "pandas<3", "onnxruntime==1.31.1", "mlserver-sklearn==1.7.1"]],
    "mosec": [["mosec==0.9.8", "onnxruntime==1.31.1", "orjson"]],
    # Of this wheel only the tritonserver binary and its Python backend are used, not its Python package, so none of the
    # package's dependencies are needed. The backend was built for numpy 1 and hands out empty tensors with numpy 2.
    "triton": [["onnxruntime==1.31.1", "numpy<2"], ["--no-deps", "nvidia-pytriton==0.7.0"]],
}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--venv`` to ``parser``."""
    parser.add_argument(
        "--venv",
        action="append",
        default=os.environ.get("BENCH_VENVS", "").split(),
        metavar="PEER=PATH",
        help=f"an environment to use instead of making one; peers: {', '.join(REQUIREMENTS)} (also $BENCH_VENVS)",
    )


class Environments:
    """Finds, or makes, the environment of each peer."""

    def __init__(self, given: list[str]) -> None:
        """``given``: PEER=PATH for environments that exist. Raises ValueError for a peer nobody knows."""
        self._given = {}
        for entry in given:
            peer, _, path = entry.partition("=")
            if peer not in REQUIREMENTS or not Path(path, "bin", "python").exists():
                raise ValueError(f"--venv {entry}: expected one of {sorted(REQUIREMENTS)}=FOLDER of an environment")
            self._given[peer] = Path(path)

    def of(self, peer: str) -> Path:
        """The folder of the environment of ``peer``; made first where it is missing or of other versions."""
        if peer in self._given:
            return self._given[peer]
        folder, wanted = ROOT / peer, repr(REQUIREMENTS[peer])
        stamp = folder / "made-with"
        if not stamp.exists() or stamp.read_text() != wanted:
            print(f"making the environment of {peer} (once) ...", file=sys.stderr, flush=True)
            subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
            pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            for arguments in REQUIREMENTS[peer]:
                subprocess.run(pip + arguments, check=True, stdout=sys.stderr)
            stamp.write_text(wanted)
        return folder
