"""Runs a model in a loop with nothing around it; a process of its own, so that it can be pinned.

Arguments: model file, seconds, then the name and shape ("1x512") of each input. Prints JSON: CPU microseconds a run.
"""

from __future__ import annotations

import json
import sys
import time

import numpy as np
import onnxruntime


def main() -> None:
    path, seconds, *inputs = sys.argv[1:]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    pairs = zip(inputs[::2], inputs[1::2], strict=True)
    feed = {name: np.ones([int(axis) for axis in shape.split("x")], np.float32) for name, shape in pairs}
    for _ in range(50):
        session.run(names, feed)
    runs, cpu, end = 0, time.process_time(), time.perf_counter() + float(seconds)
    while time.perf_counter() < end:
        for _ in range(20):
            session.run(names, feed)
        runs += 20
    print(json.dumps({"cpu_us": (time.process_time() - cpu) * 1e6 / runs}))


if __name__ == "__main__":
    main()
