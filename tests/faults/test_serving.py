"""A crowd at the door of ``fairl-bench serve``, over real sockets: 60 callers, or 500 and 2,000 in the long form.

The long form (``tox -e faults``) prints how long the callers waited.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pytest

LONG = os.environ.get("FAIRL_FAULTS") == "long"
CALLERS = 500 if LONG else 60
SERVER = """\
import time
import numpy as np
from fairl_bench.cli import main as cli
from fairl_bench.cli import reward as cli_reward
from fairl_bench.builtin.methods.length import Length
from fairl_bench.values.training import Reward
from fairl_bench.reward.function import RecoveredReward

class Slow(Length):
    def score(self, reward, inputs):
        time.sleep(0.005)
        return super().score(reward, inputs)

cli_reward._saved = lambda *_: RecoveredReward(Slow.named("slow"), None, Reward({"sign": np.array(1, np.float32)}))
cli.main(["serve", "anything", "--port", "0"])
"""


@pytest.fixture
def port() -> Iterator[int]:
    """Where a server listens, a process of its own, that takes 5 ms for a request; it must not complain."""
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", SERVER], stdout=pipe, stderr=pipe, text=True) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline().partition("/get_reward")[0].rpartition(":")[2])
            process.terminate()
            said, complained = process.communicate(timeout=60)
            others = [line for line in complained.splitlines() if not line.startswith("503 ")]
            assert (process.returncode, said, others) == (143, "", ["stopped"])
        finally:
            process.kill()


class Told(NamedTuple):
    status: int
    answer: dict[str, object]
    again: bool  # it says when to come back
    seconds: float


async def call(port: int, n: int) -> Told:
    """One caller, whose text has n letters."""
    begun = time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    body = json.dumps({"query": ["x" * n]}).encode()
    writer.write(b"POST /get_reward HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n")
    writer.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
    head, _, content = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    return Told(int(head.split()[1]), json.loads(content), b"retry-after" in head.lower(), time.perf_counter() - begun)


async def crowd(port: int, n: int) -> list[Told]:
    return list(await asyncio.gather(*(call(port, i + 1) for i in range(n))))


def shown(what: str, told: list[Told], capsys: pytest.CaptureFixture[str]) -> None:
    if LONG:
        median, most = np.quantile([one.seconds for one in told], [0.5, 1])
        statuses = dict(Counter(one.status for one in told))
        with capsys.disabled():
            print(f"\n{what}: {statuses}, answered after {median:.2f} s in the middle, {most:.2f} s at the latest")


def test_all_callers_at_once_are_served_each_with_its_own(port: int, capsys: pytest.CaptureFixture[str]) -> None:
    told = asyncio.run(crowd(port, CALLERS))
    shown(f"{CALLERS} callers at once", told, capsys)
    assert [(one.status, one.answer["rewards"]) for one in told] == [(200, [i + 1.0]) for i in range(CALLERS)]


async def beside_slow_ones(port: int, n: int) -> list[Told]:
    """A crowd, while as many connections say no more than half a head."""
    slow = [await asyncio.open_connection("127.0.0.1", port) for _ in range(n)]
    for _, writer in slow:
        writer.write(b"POST /get_reward HTTP/1.1\r\nHo")
    told = await crowd(port, n)
    for _, writer in slow:
        writer.close()
    return told


def test_callers_that_never_finish_do_not_keep_others_waiting(port: int, capsys: pytest.CaptureFixture[str]) -> None:
    told = asyncio.run(beside_slow_ones(port, CALLERS))
    shown(f"{CALLERS} callers beside as many that never finish", told, capsys)
    assert {one.status for one in told} == {200}


def test_more_callers_than_may_wait_are_served_or_told_to_come_back(
    port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    n = 4 * CALLERS  # in the long form more than the 1,024 that may wait
    told = asyncio.run(crowd(port, n))
    shown(f"{n} callers at once", told, capsys)
    served = [one for one in told if one.status == 200]
    refused = [one for one in told if one.status == 503]
    assert len(served) + len(refused) == n
    assert len(served) >= min(n, 1024)
    assert all(one.again for one in refused)
