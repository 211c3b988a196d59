"""Asks a running server for all 450 held-out digits at once and counts how many it reads right."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request, urlopen

import numpy as np

HERE = Path(__file__).parent


def main() -> None:
    server = sys.argv[1] if len(sys.argv) > 1 else "http://localhost:8080"
    held_out = np.load(HERE / "heldout.npz")
    images = held_out["pixels"].reshape(-1, 1, 8, 8) / 16
    tensor = {"name": "image", "shape": images.shape, "datatype": "FP32", "data": images.ravel().tolist()}
    body = json.dumps({"inputs": [tensor]}).encode()
    try:
        with urlopen(Request(f"{server}/v2/models/digits/infer", body, {"Content-Type": "application/json"})) as answer:
            output = json.load(answer)["outputs"][0]
    except URLError as error:
        sys.exit(f"no answer from {server}: {error.reason}")
    digits = np.reshape(output["data"], output["shape"]).argmax(axis=1)
    right = int((digits == held_out["labels"]).sum())
    print(f"{right} of {len(digits)} right: {right / len(digits):.1%}")


if __name__ == "__main__":
    main()
