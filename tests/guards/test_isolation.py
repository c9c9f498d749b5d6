"""What is put back after a part has worked, and what is not taken for the part's."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result

from fairl_bench.errors import message_of
from fairl_bench.guards.isolation import PartEnded, end_forked_copy, isolated, prints_to_stderr


def test_a_real_interruption_stays_one() -> None:
    with pytest.raises(KeyboardInterrupt), isolated():
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


class Late:
    """Something whose end is the moment in which Ctrl-C comes: Python can raise nothing there."""

    def __del__(self) -> None:
        signal.raise_signal(signal.SIGINT)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interruption_that_could_not_be_raised_is_not_lost() -> None:
    with pytest.raises(KeyboardInterrupt), isolated():
        Late()


@pytest.mark.parametrize("instead", ["pass", "raise ValueError('no')"])
def test_an_interruption_that_a_part_catches_is_one_all_the_same(instead: str) -> None:
    work = f"import signal\ntry:\n    signal.raise_signal(signal.SIGINT)\nexcept KeyboardInterrupt:\n    {instead}\n"
    with pytest.raises(KeyboardInterrupt), isolated():
        exec(work, {})


@pytest.mark.parametrize("raised", [KeyboardInterrupt(), SystemExit(3), GeneratorExit("x")])
def test_what_a_part_raises_is_the_parts(raised: BaseException) -> None:
    with pytest.raises(PartEnded, match=type(raised).__name__), isolated():
        raise raised


def test_an_error_passes_as_it_is() -> None:
    with pytest.raises(ZeroDivisionError), isolated():
        1 / 0  # noqa: B018


def test_prints_go_aside_until_the_last_of_several_calls_is_over(capsys: pytest.CaptureFixture[str]) -> None:
    out, first, second = sys.stdout, prints_to_stderr(), prints_to_stderr()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)  # as of two threads: the first to come is the first to go
    print("still aside")
    second.__exit__(None, None, None)
    assert sys.stdout is out
    print("here")
    assert capsys.readouterr() == ("here\n", "still aside\n")


def test_a_closed_stream_is_still_open_afterwards(capsys: pytest.CaptureFixture[str]) -> None:
    with isolated():
        sys.stderr.close()
        sys.stdout.close()
    print("x", file=sys.stderr)
    assert capsys.readouterr().err == "x\n"


def test_warnings_that_became_errors_are_none_again_and_others_stay() -> None:
    with warnings.catch_warnings():
        warnings.resetwarnings()
        with isolated():
            warnings.simplefilter("error")
            warnings.filterwarnings("ignore", "of a library")
        assert [one[0] for one in warnings.filters] == ["ignore"]


def test_in_another_thread_signals_are_left_alone_and_the_rest_is_put_back() -> None:
    np.random.seed(3)
    expected = np.random.RandomState(3).random()

    def work() -> None:
        with isolated():
            np.random.seed(4)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert np.random.random() == expected


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # Python 3.12: of threads and forks
def test_a_child_that_comes_back_ends() -> None:
    end_forked_copy()  # outside of a part's work: nothing
    with isolated():
        child = os.fork()
        end_forked_copy()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_an_error_is_told_in_one_line_that_any_file_can_hold() -> None:
    class Odd(Exception):
        def __str__(self) -> str:
            raise ValueError

    assert message_of(ValueError("a\nb")) == "a b"
    assert message_of(ValueError("\ud800")) == "\\ud800"
    assert message_of(Odd()) == "(its message cannot be made: ValueError)"
    assert len(message_of(ValueError("x" * 10**6))) == 2001


NOISY = """
import json
import os
from fairl_bench import Field, Method, Reward, hookimpl

print("at import")
os.environ["NOBODY_ASKED"] = "1"


class Noisy(Method):
    width: int = Field(3)

    def fit(self, task):
        return Reward({})


@hookimpl
def fairl_methods(register):
    print("in the hook")
    register("noisy", Noisy)
"""


def test_the_output_of_a_command_holds_nothing_that_a_plugin_prints(cli: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "noisy.py").write_text(NOISY)
    asked = cli("schema", "--plugin", "noisy.py")
    assert asked.exit_code == 0
    assert "method" in json.loads(asked.stdout)["$defs"]
    assert cli("list", "method", "--plugin", "noisy.py").stdout.startswith("method:\n")
    shown = cli("show", "noisy", "--plugin", "noisy.py")
    assert shown.stdout.startswith("method noisy\n")
    (tmp_path / "other.py").write_text(f"{NOISY}\n# loaded anew")  # what was loaded once prints no more
    assert "at import" in cli("plugins", "--plugin", "other.py").stderr
    assert "NOBODY_ASKED" not in os.environ


def test_an_error_in_a_verb_is_told_with_its_plugin_and_its_line(
    cli: Callable[..., Result], write_suite: Callable[..., Path], tiny: dict[str, Any], tmp_path: Path
) -> None:
    broken = NOISY.replace("    def fit", "    def check(self):\n        1 / 0\n\n    def fit")
    (tmp_path / "noisy.py").write_text(broken)
    tiny["plugins"] = ["noisy.py"]
    tiny["methods"].append({"name": "noisy", "use": "noisy"})
    told = cli("check", write_suite(tiny))
    assert told.exit_code == 2
    assert "noisy.py is broken: in Noisy.check, line 14: ZeroDivisionError: division by zero" in told.stderr
    assert "Traceback" not in told.stderr
