"""What do models written for MLServer cost in either server? One folder of models, oipserver and MLServer 1.7.1."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
from harness.bench import Bench
from harness.cases import Case, Payload
from harness.load import Load
from harness.measure import Series, Target, run_rounds
from harness.servers import Endpoint, mlserver, oipserver
from harness.table import Goal, goals_table, markdown

OURS, MLSERVER = "oipserver", "MLServer"
SERVERS = (OURS, MLSERVER)
LOADS = (Load(1), Load(32))
BUSY = Load(32).label
WORKERS = 1
GOAL = 4

KINDS = {"signature": "@decode_args, 16 floats", "classifier": "scikit-learn, one row of 4 floats"}
PEERS = Path(__file__).parent / "peers"
#: Run in MLServer's environment, whose scikit-learn is the one both can read a model of.
MAKE_CLASSIFIER = """
import sys, joblib
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
joblib.dump(LogisticRegression(max_iter=500).fit(*load_iris(return_X_y=True)), sys.argv[1])
"""


def write_models(bench: Bench, folder: Path) -> None:
    """The models, in MLServer's layout: each server gets a copy and reads the same files."""
    settings = {
        "signature": {"implementation": "signature_model.SignatureModel"},
        "classifier": {"implementation": "mlserver_sklearn.SKLearnModel", "parameters": {"uri": "./model.joblib"}},
    }
    for name, content in settings.items():
        (folder / name).mkdir(parents=True)
        (folder / name / "model-settings.json").write_text(json.dumps({"name": name, **content}))
    shutil.copy(PEERS / "signature_model.py", folder / "signature")
    python = bench.environments.of("mlserver") / "bin" / "python"
    command = [str(python), "-c", MAKE_CLASSIFIER, str(folder / "classifier" / "model.joblib")]
    subprocess.run(command, check=True)


def endpoint_of(bench: Bench, server: str) -> Endpoint:
    """``server`` with both models and one worker."""
    folder = bench.folder / server
    write_models(bench, folder)
    if server == OURS:
        return oipserver(folder, [], workers=WORKERS)
    return mlserver(folder, [], bench.environments, workers=WORKERS)


def requests() -> dict[str, tuple[Case, Payload]]:
    """A request to each model, as MLServer's clients write it."""
    row = np.linspace(0, 1, 16, dtype=np.float32).reshape(1, -1)
    signature = Case("signature", {"x": row}, {"output-0": row * 2})
    flower = np.array([[5.1, 3.5, 1.4, 0.2]], dtype=np.float32)  # the first of the data set: class 0
    classifier = Case("classifier", {"x": flower}, {"predict": np.zeros((1, 1), np.float32)})
    return {case.model: (case, case.json()) for case in (signature, classifier)}


def measure(bench: Bench) -> Series:
    """Every model on every server; keys are (model, server, load)."""
    jobs = []
    for server in filter(bench.wanted, SERVERS):
        endpoint = endpoint_of(bench, server)
        process = bench.start(server, endpoint)
        for model, (case, payload) in requests().items():
            target = Target(process, endpoint, case, payload)
            bench.warm(target)
            jobs += [((model, server, load.label), bench.job(target, load)) for load in LOADS]
    return run_rounds(jobs, bench.rounds)


def table(series: Series, model: str) -> str:
    """What one request to ``model`` costs, and how many there are in a second."""
    rows = []
    for server in SERVERS:
        for load in LOADS:
            key, ours = (model, server, load.label), (model, OURS, load.label)
            if key not in series:
                continue
            cells = [series.spread(key, field).text() for field in ("cpu_us", "rps", "p50_us", "p99_us")]
            ratio = "" if server == OURS or ours not in series else series.ratio(key, ours, "cpu_us").text(1)
            rows.append([server, load.label, *cells, ratio])
    head = ["server", "connections", "CPU us/request", "requests/s", "p50 us", "p99 us", "CPU, x of oipserver"]
    return markdown(KINDS[model], head, rows)


def goals(series: Series) -> list[Goal]:
    """What was to be reached, and what was."""
    found = []
    for model, label in KINDS.items():
        theirs, ours = (model, MLSERVER, BUSY), (model, OURS, BUSY)
        if theirs in series and ours in series:
            less, more = series.ratio(theirs, ours, "cpu_us"), series.ratio(ours, theirs, "rps")
            found.append(Goal(f"{label}: times less CPU than MLServer", GOAL, less.median, less.text(1)))
            found.append(Goal(f"{label}: times MLServer's requests/s", GOAL, more.median, more.text(1)))
    return found


def main() -> None:
    """Measure everything, print the tables."""
    with Bench(__doc__ or "", rounds=5, seconds=2, longest=900) as bench:
        series = measure(bench)
        print(f"## Models written for MLServer, one worker\n\n{bench.conditions([series])}\n")
        for model in KINDS:
            print(table(series, model))
        print(goals_table(goals(series)))


if __name__ == "__main__":
    main()
