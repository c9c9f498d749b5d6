"""Plugins that take a process down, run by the command line in the long form (``tox -e faults``)."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hostile_plugins import (
    LONG,
    Case,
    fit,
    put,
)

DEADLY = {
    "a signal": ("os.kill(os.getpid(), signal.SIGKILL)", "its worker process ended twice"),
    "a fault": ("import ctypes; ctypes.string_at(0)", "its worker process ended twice"),
    "os._exit": ("os._exit(0)", "its worker process ended twice"),
    "posix": ("import posix; posix._exit(0)", "its worker process ended twice"),
    "threads": ("threading.Thread(target=time.sleep, args=(600,)).start(); return self.good(task)", ""),
}


def command(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "fairl_bench", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "FAIRL_STORE": str(folder / "store"), **environment},
    )


@pytest.mark.skipif(not LONG, reason="needs the long form: tox -e faults")
@pytest.mark.parametrize("name", DEADLY)
def test_what_would_end_the_process_ends_one_cell(name: str, world: Path, tmp_path: Path) -> None:
    body, sentence = DEADLY[name]
    put(fit(body), world, tmp_path / "case")
    ran = command(tmp_path / "case", "run", "suite.yaml")
    assert ran.returncode == (1 if sentence else 0), ran.stderr
    assert sentence in ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.mark.skipif(not LONG, reason="needs the long form: tox -e faults")
@pytest.mark.parametrize("verb", ["check", "list", "show", "plugins", "schema"])
@pytest.mark.parametrize(
    "loop", ["while True: pass", "time.sleep(600)", "while True:\n    try: time.sleep(1)\n    except: pass"]
)
def test_an_endless_import_ends_every_command(verb: str, loop: str, world: Path, tmp_path: Path) -> None:
    put(Case("method", f"class Hostile(Base): pass\n{loop}"), world, tmp_path / "case")
    more = {"check": ["suite.yaml"], "show": ["hostile", "--plugin", "hostile.py"]}.get(
        verb, ["--plugin", "hostile.py"]
    )
    began = time.monotonic()
    ran = command(tmp_path / "case", verb, *more, FAIRL_IMPORT_SECONDS="1")
    assert ran.returncode == 2
    assert re.search(
        r"^error: .*plugin .*hostile.py has not finished importing after 1 s; mend", ran.stderr, re.MULTILINE
    )
    assert time.monotonic() - began < 60
