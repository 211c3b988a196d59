"""Sends changed requests to every decoder: ``python tests/fuzz/run.py --inputs 200000``, from the root of the project.

Prints how many requests had which outcome; ends with the request that made the server fail, if any does.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections import Counter
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.fuzz.targets import FailedError, targets

STEP = 1000  # inputs from one seed, so that a failure is found again without all that came before


async def fuzz(name: str, inputs: int, seed: int) -> Counter[str]:
    """The outcomes of ``inputs`` changed requests to the target ``name``. Raises FailedError."""
    outcomes: Counter[str] = Counter()
    async with targets() as made:
        target = made.all[name]
        for number in range(inputs):
            if number % STEP == 0:
                random = Random(f"{name} {seed} {number // STEP}")
            outcomes[await target(random)] += 1
    return outcomes


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=200_000, help="requests to each target")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--target", action="append", choices=("rest-json", "rest-binary", "generate", "grpc"))
    options = parser.parse_args()
    for name in options.target or ("rest-json", "rest-binary", "generate", "grpc"):
        start = time.monotonic()
        try:
            outcomes = asyncio.run(fuzz(name, options.inputs, options.seed))
        except FailedError as failure:
            print(f"{name}: {failure}")
            return 1
        told = ", ".join(f"{outcome}: {count}" for outcome, count in outcomes.most_common())
        print(f"{name}: {options.inputs} requests in {time.monotonic() - start:.0f} s; {told}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
