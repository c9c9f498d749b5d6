"""The command ``fairl-bench``: its errors as one or two lines, its exit codes, its end.

Exit codes: 0 fine; 1 a cell failed, a regression or an expectation did not hold; 2 the user must change something;
130 interrupted; 143 ended by SIGTERM.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from fairl_bench.cli import audit, check, init, parts, results, reward, run, store
from fairl_bench.cli.signals import Terminated, terminable
from fairl_bench.cli.streams import output_refusal, prepare_streams

_PATIENCE = 3.0  # seconds that threads have to end


class _Group(click.Group):
    """Turns expected failures into one or two lines and exit code 2."""

    def main(self, *args: Any, **settings: Any) -> Any:
        """Run a command, and leave with its exit code."""
        prepare_streams()
        try:
            with terminable(), _seldom_collected():
                return super().main(*args, **settings)
        except OSError:
            if not (why := output_refusal()):
                raise
        except SystemExit as error:
            if not (why := output_refusal()):
                _leave(error.code)
                raise
        click.echo(f"error: the standard output cannot be written: {why}; make room there, or name another", err=True)
        sys.exit(2)

    def invoke(self, context: click.Context) -> object:
        """Run a command, whose failures are printed as sentences."""
        try:
            return super().invoke(context)
        except KeyboardInterrupt as error:
            how, code = ("terminated", 143) if isinstance(error, Terminated) else ("interrupted", 130)
            click.echo(f"{how}; finished work is kept: run the same command again to go on", err=True)
            context.exit(code)
        except click.ClickException:
            raise
        except Exception as error:
            sentence = None if context.params.get("debug") else _sentence(error)
            if sentence is None:
                raise
            click.echo(f"error: {sentence}", err=True)
            context.exit(2)


def _sentence(error: Exception) -> str | None:
    """An expected error, or one of a plugin's code, as it is printed; None for a mistake of ours."""
    from fairl_bench.errors import FairlError, brief
    from fairl_bench.guards.printable import safe
    from fairl_bench.suite.drop_ins import blame

    reason = str(error) if isinstance(error, FairlError) else blame(error)
    return None if reason is None else brief(safe(reason))


@contextmanager
def _seldom_collected() -> Iterator[None]:
    """Look for garbage less often: what a command makes are thousands of records, and next to none of it is garbage."""
    before = gc.get_threshold()
    gc.set_threshold(100_000, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _leave(code: object) -> None:
    """End the process although a plugin has left threads that would never let it end."""
    import threading

    own = (threading.current_thread(), threading.main_thread())
    left = [thread for thread in threading.enumerate() if thread not in own and not thread.daemon and thread.is_alive()]
    for thread in left:
        thread.join(_PATIENCE / len(left))
    if any(thread.is_alive() for thread in left):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 0 if code is None else 1)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, help="Show tracebacks.")
@click.version_option(package_name="fairl-bench")
def main(debug: bool) -> None:
    """Benchmark methods that recover the reward an aligned language model has internalised."""
    # before torch and numpy are imported: one thread a process, so that numbers do not depend on the cores
    os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


for _module in (run, audit, results, init, check, parts, reward, store):
    for _command in _module.COMMANDS:
        main.add_command(_command)
