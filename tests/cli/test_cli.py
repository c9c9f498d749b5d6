from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest
from click.testing import Result

from fairl_bench import __version__, pipeline
from fairl_bench.cli.main import main
from fairl_bench.cli.options import Whole
from fairl_bench.kinds import KINDS
from fairl_bench.suite import registry
from fairl_bench.suite.registry import Registry

Cli = Callable[..., Result]
Write = Callable[..., Path]


def test_run_prints_the_table_and_where_the_results_are(
    cli: Cli, write_suite: Write, tiny: dict[str, Any], tmp_path: Path
) -> None:
    ran = cli("run", write_suite(tiny))
    assert ran.exit_code == 0
    assert ran.stdout.startswith("Table 1\n")
    assert "max-margin" in ran.stdout
    assert "computed 29 of 29 stages in " in ran.stdout
    assert "results in results/tiny" in ran.stdout
    assert "[1/26] examples: pairs of toy, replicate 0" in ran.stderr
    assert (tmp_path / "results" / "tiny" / "records.parquet").exists()
    assert (tmp_path / "store").is_dir()
    again = cli("run", write_suite(tiny))
    assert again.exit_code == 0
    assert "nothing to compute: all was finished; results in results/tiny" in again.stdout
    assert again.stdout.partition("nothing to")[0] == ran.stdout.partition("computed")[0]


def test_options_name_other_folders(cli: Cli, write_suite: Write, tiny: dict[str, Any], tmp_path: Path) -> None:
    tiny["methods"] = tiny["methods"][-1:]
    ran = cli("run", write_suite(tiny), "--results", tmp_path / "r", "--store", tmp_path / "s")
    assert ran.exit_code == 0
    assert f"results in {tmp_path / 'r'}" in ran.stdout
    assert (tmp_path / "r" / "run.json").exists()
    assert (tmp_path / "s" / "locks").is_dir()
    assert not (tmp_path / "store").exists()


def test_a_failed_cell_is_exit_code_1_and_its_reason_is_told(
    cli: Cli, write_suite: Write, tiny: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "bad.py").write_text(
        "from fairl_bench import Method, hookimpl\n"
        "class Bad(Method):\n    def fit(self, task):\n        raise ValueError('boom')\n"
        "@hookimpl\ndef fairl_methods(register):\n    register('bad', Bad)\n"
    )
    tiny.update(plugins=["bad.py"], seeds=[0], methods=[{"name": "bad", "use": "bad"}, tiny["methods"][-1]])
    ran = cli("run", write_suite(tiny))
    assert ran.exit_code == 1
    assert "failed: bad on toy, replicate 0, seed 0: ValueError: boom" in ran.stderr
    assert "1 stages failed, 3 were skipped for it" in ran.stderr
    assert "Traceback" not in ran.output
    assert "bad: 1 of 1 seeds failed." in ran.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "gone.yaml"], "error: gone.yaml: cannot be read: No such file or directory"),
        (["run", "wrong.yaml"], "error: wrong.yaml:1: unknown field 'nmae'; did you mean 'name'?"),
        (["list", "methd"], "error: kind 'methd' is unknown; did you mean 'method'?"),
        (
            ["run", "fine.yaml", "--store", "wrong.yaml/x"],
            "error: the store wrong.yaml/x cannot be made: Not a directory",
        ),
        (["run", "fine.yaml", "--results", "wrong.yaml/x"], "error: the results folder wrong.yaml/x cannot be written"),
    ],
)
def test_what_the_user_must_change_is_exit_code_2_without_a_traceback(
    arguments: list[str], said: str, cli: Cli, write_suite: Write, tiny: dict[str, Any]
) -> None:
    write_suite("nmae: x\n", "wrong.yaml")
    write_suite(tiny, "fine.yaml")
    ran = cli(*arguments)
    assert ran.exit_code == 2
    assert said in ran.stderr
    assert "Traceback" not in ran.output
    assert ran.stdout == ""


def test_an_unknown_option_is_exit_code_2(cli: Cli) -> None:
    ran = cli("run", "x.yaml", "--reslts", "y")
    assert ran.exit_code == 2
    assert "No such option '--reslts'" in ran.stderr or "No such option: --reslts" in ran.stderr


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "fairl_bench", "--debug", "run", "gone.yaml"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "Traceback" in ran.stderr
    assert "SuiteError: gone.yaml: cannot be read" in ran.stderr
    assert ran.returncode != 0


def test_results_of_another_suite_are_refused_and_overwritten_on_request(
    cli: Cli, write_suite: Write, tiny: dict[str, Any]
) -> None:
    tiny["methods"] = tiny["methods"][-1:]
    assert cli("run", write_suite(tiny), "--results", "r").exit_code == 0
    tiny["name"] = "other"
    refused = cli("run", write_suite(tiny), "--results", "r")
    assert refused.exit_code == 2
    assert "error: r holds the results of suite 'tiny', not of 'other'" in refused.stderr
    assert cli("run", write_suite(tiny), "--results", "r", "--replace-results").exit_code == 0


def test_an_interruption_is_exit_code_130_and_says_what_is_kept(
    cli: Cli, write_suite: Write, tiny: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(pipeline, "execute", interrupted)
    ran = cli("run", write_suite(tiny))
    assert ran.exit_code == 130
    assert "interrupted; finished work is kept: run the same command again to go on" in ran.stderr
    assert (tmp_path / "results" / "tiny" / "records.parquet").exists()


SLOW = """
import os
import time

from fairl_bench import Encoder, hookimpl


class Slow(Encoder):
    def encode(self, texts, corpus):
        os.write(1, b"READY\\n")  # what a part prints goes to the standard error
        time.sleep(60)


@hookimpl
def fairl_encoders(register):
    register("slow", Slow)
"""


@pytest.mark.parametrize(
    ("number", "code", "how"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
)
def test_a_signal_ends_a_run_with_its_code_and_keeps_its_records(
    number: signal.Signals, code: int, how: str, write_suite: Write, tiny: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "slow.py").write_text(SLOW)
    tiny.update(plugins=["slow.py"], encoders=[{"name": "slow", "use": "slow"}])
    command = [sys.executable, "-m", "fairl_bench", "run", str(write_suite(tiny)), "--store", "store"]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "READY\n"
        process.send_signal(number)
        _, said = process.communicate(timeout=30)
    assert process.returncode == code
    assert f"{how}; finished work is kept" in said
    assert "Traceback" not in said
    assert (tmp_path / "results" / "tiny" / "examples" / "toy-r0.parquet").exists()


# --- streams


def command(*arguments: str, **settings: Any) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([sys.executable, "-m", "fairl_bench", *arguments], check=False, timeout=60, **settings)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("arguments", [["--help"], ["list"], ["list", "methd"]])
def test_an_output_that_cannot_be_written_is_told_in_one_sentence(arguments: list[str]) -> None:
    with Path("/dev/full").open("wb") as full:
        ran = command(*arguments, stdout=full, stderr=subprocess.PIPE)
    wrong = arguments[-1] == "methd"
    said = ran.stderr.decode()
    assert ran.returncode == 2
    assert ("the standard output cannot be written: No space left on device" in said) is not wrong
    assert len(said.splitlines()) == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_who_cannot_be_told_of_an_error_still_gets_its_code() -> None:
    with Path("/dev/full").open("wb") as full:
        ran = command("list", "methd", stdout=subprocess.PIPE, stderr=full)
    assert (ran.returncode, ran.stdout) == (2, b"")


def test_a_reader_that_leaves_early_is_no_error() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "fairl_bench", "list"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""


@pytest.mark.parametrize(
    ("encoding", "arrow"), [("latin-1", b"\\u2191"), ("cp1252", b"\\u2191"), ("utf-8", "↑".encode())]
)
def test_a_letter_that_the_output_lacks_is_shown_as_its_escape(
    encoding: str, arrow: bytes, cli: Cli, write_suite: Write, tiny: dict[str, Any], tmp_path: Path
) -> None:
    tiny["methods"] = tiny["methods"][-1:]
    assert cli("run", write_suite(tiny), "--results", "r").exit_code == 0
    shown = command("report", "r", cwd=tmp_path, capture_output=True, env=os.environ | {"PYTHONIOENCODING": encoding})
    assert (shown.returncode, shown.stderr) == (0, b"")
    assert b"accuracy " + arrow in shown.stdout


# --- list, plugins


def test_list_names_every_kind_and_part(cli: Cli) -> None:
    ran = cli("list")
    assert ran.exit_code == 0
    assert [line.removesuffix(":") for line in ran.stdout.splitlines() if not line.startswith(" ")] == list(KINDS)
    assert "  max-margin               built-in\n" in ran.stdout


def test_list_of_one_kind_names_its_parts_alone(cli: Cli) -> None:
    ran = cli("list", "testset")
    assert [line.split()[0] for line in ran.stdout.splitlines()] == ["testset:", *registry.Registry().names("testset")]


def test_plugins_shows_what_is_wrong_with_a_broken_one(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def load() -> None:
        raise ImportError("no module named 'cuda'")

    point = SimpleNamespace(name="bad", load=load, dist=SimpleNamespace(version="0.1"))
    monkeypatch.setattr(registry, "entry_points", lambda group: [point])
    ran = cli("plugins")
    assert ran.exit_code == 0
    assert f"fairl_bench.builtin {__version__} (built-in): fairl_detectors, fairl_encoders, " in ran.stdout
    assert "bad 0.1 (installed): BROKEN: ImportError: no module named 'cuda'\n" in ran.stdout


def test_help_is_exit_code_0(cli: Cli) -> None:
    for arguments in (["--help"], ["-h"], ["run", "-h"]):
        ran = cli(*arguments)
        assert ran.exit_code == 0
        assert ran.stdout.startswith("Usage: ")


def test_the_help_of_report_names_every_table(cli: Cli) -> None:
    said = re.sub(r"(?<=\w)- ", "-", " ".join(cli("report", "--help").stdout.split()))  # a line may end in a hyphen
    names = {name.removeprefix("table") for name in Registry(installed=False).names("table")}
    assert all(re.search(rf"(?<!\S){name}(,|\.| or)", said) for name in {*names, "realignment-second"})


def test_version_is_the_packages(cli: Cli) -> None:
    assert cli("--version").stdout.strip().endswith(__version__)


@pytest.mark.parametrize("value", ["nan", "+nan", "inf", "-inf", "1e999", "1_000", "1e1_0", "٣", "0x10", "", "1,5"])
def test_a_threshold_is_a_finite_number(value: str, cli: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("reward,label\n0.5,1\n0.1,-1\n")
    for command in (["evaluate", "s.csv"], ["regress", "s.csv", "--against", "p.yaml"]):
        ran = cli(*command, f"--threshold={value}")
        assert (ran.exit_code, "is no finite number" in ran.stderr) == (2, True)


@pytest.mark.parametrize("value", ["1_0", "٣", "1.0", "0x2", "nan"])
@pytest.mark.parametrize("command", [["run", "s.yaml", "--jobs"], ["serve", "reward", "--port"]])
def test_a_whole_number_is_written_in_digits(command: list[str], value: str, cli: Callable[..., Result]) -> None:
    ran = cli(*command, value)
    assert (ran.exit_code, f"'{value}' is no whole number; write it in digits alone" in ran.stderr) == (2, True)


def test_every_number_of_the_command_line_is_read_strictly() -> None:
    def options(command: click.Command) -> Iterator[click.Parameter]:
        yield from command.params
        for inner in getattr(command, "commands", {}).values():
            yield from options(inner)

    loose = (click.types.FloatParamType, click.types.IntParamType)
    assert not [one.name for one in options(main) if isinstance(one.type, loose) and not isinstance(one.type, Whole)]
