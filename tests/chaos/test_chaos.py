"""One minute of everything going wrong at once: nothing is lost, nothing is wrong, nothing is left behind."""

from __future__ import annotations

import asyncio
import os
import random
import re
import signal
import time
from base64 import b64encode
from pathlib import Path

import aiohttp
import pytest

from tests.chaos.clients import Ledger, grpc_caller, leaver, rest_client, vandal
from tests.chaos.models import write_models
from tests.support.server_process import ServerProcess

CHAOS_SECONDS = float(os.environ.get("OIPSERVER_TEST_CHAOS_SECONDS", "45"))
STEADY = ["double", "patient", "triple"]
ALL = [*STEADY, "fickle"]


def children(pid: int) -> list[int]:
    """The processes whose parent is ``pid``."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if int(fields[1]) == pid and fields[0] != "Z":
                found.append(int(entry.name))
    return found


def open_files(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


async def gauge(server: ServerProcess, name: str) -> float:
    async with aiohttp.ClientSession() as session, session.get(f"http://{server.metrics}/metrics") as answer:
        text = await answer.text()
    values = re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", text, re.MULTILINE)
    assert values, f"no metric {name}"
    return sum(float(value) for value in values)


async def killer(server: ServerProcess, stop: asyncio.Event, ledger: Ledger) -> None:
    """Kills one worker, and now and then all of them; waits for them to be back before the next blow."""
    blow = 0
    while not stop.is_set():
        workers = children(server.pid)
        blow += 1
        victims = workers if blow % 4 == 0 else random.sample(workers, min(1, len(workers)))
        for pid in victims:
            os.kill(pid, signal.SIGKILL)
        ledger.count("killed", "worker" if len(victims) == 1 else "all workers")
        await asyncio.sleep(4)


def overrides(root: Path) -> list[dict[str, str]]:
    """Ways to load ``triple`` that all end in the same answers: as it is, with a configuration, with files."""
    folder = root / "triple"
    files = {file.name: b64encode(file.read_bytes()).decode() for file in folder.iterdir()}
    config = '{"max_batch_size": 4, "dynamic_batching": {}}'
    return [{}, {"config": config}, {f"file:{name}": content for name, content in files.items()}]


async def operator(server: ServerProcess, stop: asyncio.Event, ledger: Ledger, root: Path) -> None:
    """Reloads the steady models, one of them in several ways, and unloads and loads the fickle one."""
    ways = overrides(root)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as session:
        while not stop.is_set():
            steps = [(random.choice(STEADY), "load"), ("fickle", "unload"), ("fickle", "load")]
            for model, verb in steps:
                parameters = random.choice(ways) if model == "triple" else {}
                url = server.url(f"/v2/repository/models/{model}/{verb}")
                async with session.post(url, json={"parameters": parameters}) as answer:
                    text = await answer.text()
                    # a worker that is killed while it loads a model fails that load, and says so
                    if answer.status == 200 or (answer.status >= 500 and "worker" in text) or answer.status == 404:
                        ledger.count(f"{verb} {answer.status}", model)
                    else:
                        ledger.fail(f"{verb} {model}: HTTP {answer.status} {text}")
            await asyncio.sleep(1.5)


async def load_all(server: ServerProcess) -> None:
    """Load what the trouble may have left unloaded."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as session:
        for model in ALL:
            async with session.post(server.url(f"/v2/repository/models/{model}/load")) as answer:
                assert answer.status == 200, await answer.text()


async def all_answer(server: ServerProcess) -> None:
    """Wait until every steady model answers again."""
    async with aiohttp.ClientSession() as session:
        for _ in range(600):
            async with session.get(server.url("/v2/health/ready")) as answer:
                if answer.status == 200:
                    return
            await asyncio.sleep(0.1)
    raise AssertionError(f"the server did not become ready again:\n{server.output[-3000:]}")


async def rampage(server: ServerProcess, ledger: Ledger, root: Path) -> None:
    stop, calm = asyncio.Event(), asyncio.Event()
    clients = [
        *(asyncio.create_task(rest_client(server.http, ALL, stop, ledger)) for _ in range(6)),
        *(asyncio.create_task(grpc_caller(server.grpc, ALL, stop, ledger)) for _ in range(3)),
        asyncio.create_task(vandal(server.http, stop, ledger)),
    ]
    trouble = [
        asyncio.create_task(leaver(server.http, STEADY, calm, ledger)),
        asyncio.create_task(killer(server, calm, ledger)),
        asyncio.create_task(operator(server, calm, ledger, root)),
    ]
    await asyncio.sleep(CHAOS_SECONDS)
    calm.set()
    await asyncio.gather(*trouble)
    await load_all(server)
    await all_answer(server)
    ledger.draining = True
    server.process.send_signal(signal.SIGTERM)
    await asyncio.to_thread(server.wait)
    stop.set()
    await asyncio.gather(*clients)


async def settle(server: ServerProcess) -> None:
    """Wait until nothing is in flight."""
    for _ in range(200):
        if await gauge(server, "oipserver_requests_in_flight") == 0:
            return
        await asyncio.sleep(0.05)
    raise AssertionError("requests are still in flight though nobody asks")


async def massacre(server: ServerProcess, ledger: Ledger) -> int:
    """All workers die under load and come back; the open files once nobody asks any more."""
    stop = asyncio.Event()
    clients = [asyncio.create_task(rest_client(server.http, ALL, stop, ledger)) for _ in range(4)]
    clients += [asyncio.create_task(leaver(server.http, STEADY, stop, ledger))]
    for pid in children(server.pid):
        os.kill(pid, signal.SIGKILL)
    await asyncio.sleep(3)
    stop.set()
    await asyncio.gather(*clients)
    await all_answer(server)
    await settle(server)
    return open_files(server.pid)


async def leak_check(server: ServerProcess, ledger: Ledger) -> None:
    """The first massacre makes what is made on first use; what the others add is a leak."""
    before = await massacre(server, ledger)
    for _ in range(2):
        after = await massacre(server, ledger)
    assert after <= before + 3, f"{after - before} more files are open after two massacres than after one"


@pytest.mark.process
@pytest.mark.slow
@pytest.mark.timeout(240)
def test_nothing_is_lost(tmp_path: Path) -> None:
    write_models(tmp_path)
    segments = set(os.listdir("/dev/shm"))
    ledger = Ledger()
    with ServerProcess(tmp_path, "--worker-max-deaths", "1000", "--log-level", "warning") as server:
        asyncio.run(leak_check(server, ledger))
        asyncio.run(rampage(server, ledger, tmp_path))
        code = server.process.returncode
        workers = children(server.pid)
    print(dict(sorted(ledger.outcomes.items())))
    assert not ledger.wrong, "\n".join(ledger.wrong)
    assert code == 0, server.output[-3000:]
    assert not workers
    assert ledger.total("right") > 500
    assert all(ledger.outcomes[f"{model} right"] > 50 for model in STEADY), ledger.outcomes
    assert ledger.total("killed") >= CHAOS_SECONDS // 6
    assert set(os.listdir("/dev/shm")) <= segments


@pytest.mark.process
def test_workers_end_with_a_server_that_is_killed(tmp_path: Path) -> None:
    write_models(tmp_path)
    with ServerProcess(tmp_path) as server:
        workers = children(server.pid)
        assert workers
        server.process.kill()
        server.process.wait(10)
        deadline = time.monotonic() + 10
        while any(Path(f"/proc/{pid}").exists() for pid in workers) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not [pid for pid in workers if Path(f"/proc/{pid}").exists()]
