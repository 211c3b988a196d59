"""What does MLflow's scoring protocol cost? One scikit-learn model, oipserver and ``mlflow models serve``."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from harness.bench import Bench
from harness.cases import Case, Payload
from harness.load import Load
from harness.measure import Series, Target, run_rounds
from harness.process import Command, free_port
from harness.servers import Endpoint, oipserver
from harness.table import Goal, goals_table, markdown

OURS, MLFLOW = "oipserver", "mlflow models serve"
SERVERS = (OURS, MLFLOW)
LOADS = (Load(1), Load(32))
BUSY = Load(32).label
GOAL = 5
ROW = {"columns": ["a", "b", "c", "d"], "data": [[1.0, 2.0, 3.0, 4.0]]}
PAYLOAD = Payload(json.dumps({"dataframe_split": ROW}).encode(), {"Content-Type": "application/json"})
CASE = Case("model", {}, {"predictions": np.ones(1, np.float32)})


@dataclass(slots=True)
class Invocations(Target):
    """A target that answers in MLflow's form."""

    def check(self) -> None:
        """Send the request once. Raises where the answer is wrong."""
        connection = http.client.HTTPConnection("127.0.0.1", self.endpoint.http_port, timeout=30)
        connection.request("POST", "/invocations", self.payload.body, self.payload.headers)
        answer = connection.getresponse().read()
        connection.close()
        self.case.check({"predictions": np.array(json.loads(answer)["predictions"], np.float32)})


def save_model(folder: Path) -> None:
    """A logistic regression with a signature of four columns."""
    import mlflow
    import pandas as pd
    from mlflow.models import infer_signature
    from sklearn.linear_model import LogisticRegression

    rows = np.random.default_rng(0).normal(size=(200, 4))
    table = pd.DataFrame(rows, columns=ROW["columns"])
    model = LogisticRegression().fit(table, (rows[:, 0] > 0).astype(np.int64))
    signature = infer_signature(table, model.predict(table))
    options = {"serialization_format": "cloudpickle", "pip_requirements": ["mlflow"]}
    mlflow.sklearn.save_model(model, folder, signature=signature, **options)


def endpoint_of(bench: Bench, server: str, model: Path) -> Endpoint:
    """``server`` with the model."""
    folder = bench.folder / server.replace(" ", "-")
    if server == OURS:
        shutil.copytree(model, folder / "model")
        endpoint = oipserver(folder, [], workers=1)
        return Endpoint(endpoint.command, endpoint.http_port, infer_path="/invocations")
    folder.mkdir()
    port = free_port()
    scripts = Path(sys.executable).parent
    argv = [str(scripts / "mlflow"), "models", "serve", "-m", str(model), "-p", str(port), "-h", "127.0.0.1"]
    environment = {"PATH": f"{scripts}:{os.environ['PATH']}"}  # it starts uvicorn by its name
    command = Command([*argv, "--env-manager", "local"], folder, port, environment, ready_path="/ping")
    return Endpoint(command, port, infer_path="/invocations")


def measure(bench: Bench) -> Series:
    """Both servers under each load; keys are (server, load)."""
    model = bench.folder / "saved"
    save_model(model)
    jobs = []
    for server in filter(bench.wanted, SERVERS):
        endpoint = endpoint_of(bench, server, model)
        target = Invocations(bench.start(server, endpoint), endpoint, CASE, PAYLOAD)
        bench.warm(target)
        jobs += [((server, load.label), bench.job(target, load)) for load in LOADS]
    return run_rounds(jobs, bench.rounds)


def table(series: Series) -> str:
    """What one request costs, and how many there are in a second."""
    rows = []
    for key in [(server, load.label) for server in SERVERS for load in LOADS]:
        if key in series:
            cells = [series.spread(key, field).text() for field in ("cpu_us", "rps", "p50_us", "p99_us")]
            rows.append([*key, *cells])
    head = ["server", "connections", "CPU us/request", "requests/s", "p50 us", "p99 us"]
    return markdown("One row of four columns, dataframe_split", head, rows)


def goals(series: Series) -> list[Goal]:
    """Requests per second beside MLflow's own server."""
    ours, theirs = (OURS, BUSY), (MLFLOW, BUSY)
    if ours not in series or theirs not in series:
        return []
    more = series.ratio(ours, theirs, "rps")
    return [Goal(f"{BUSY} connections: times MLflow's requests/s", GOAL, more.median, more.text(1))]


def main() -> None:
    """Measure, print the tables."""
    with Bench(__doc__ or "", rounds=5, seconds=2, longest=600) as bench:
        series = measure(bench)
        print(f"## MLflow's scoring protocol\n\n{bench.conditions([series])}\n")
        print(table(series))
        print(goals_table(goals(series)))


if __name__ == "__main__":
    main()
