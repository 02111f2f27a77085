"""The command line: arguments, exit codes and what is printed on an error or a stop."""

from __future__ import annotations

import os
import shlex
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import typer
from typer.exceptions import TyperException

from solution import __version__
from solution.cli.commands import app

INTERRUPTED, TERMINATED = 128 + signal.SIGINT, 128 + signal.SIGTERM
RESUME = "Interrupted. Run the same command again to resume."
HEADER = "Choose, fine-tune and submit models for Korean exam questions.\n\n"
FOOTER = """
`./run.sh COMMAND --help` lists a command's options and an example. The first command makes an
environment (.venv) with pinned packages and prints its size; later ones start at once.

  EXAMQA_STACK=cpu|v100|gpu   packages to install (default: detected with nvidia-smi)
  EXAMQA_PYTHON=PATH          Python that makes the environment
  EXAMQA_VENV=DIR             its folder (default: .venv beside run.sh)
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return 0 when done, 2 for a user error, 128 + the signal, else 1."""
    argv = list(sys.argv[1:] if arguments is None else arguments)
    os.environ.setdefault("UNSLOTH_DISABLE_STATISTICS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    if argv in ([], ["help"], ["-h"], ["--help"]):
        print(help_text(), end="")
        return 0
    if argv == ["--version"]:
        print(f"exam-qa {__version__}")
        return 0
    return _run(_with_ray_address(argv))


def help_text() -> str:
    """Return the list of commands; run.sh prints a copy of it from help.txt."""
    group = typer.main.get_command(app)
    found = {name: command.help or "" for name, command in vars(group)["commands"].items()}
    found["test"] = "Run the project's checks, or pytest alone with the arguments given."
    lines = [
        f"  {name:<10}{doc.strip().splitlines()[0]}" for name, doc in sorted(found.items())
    ]
    return f"{HEADER}usage: ./run.sh COMMAND [OPTIONS]\n\n" + "\n".join(lines) + f"\n{FOOTER}"


def _run(argv: list[str]) -> int:
    try:
        with _sigterm_as_exit():
            command = typer.main.get_command(app)
            code = int(command.main(argv, prog_name="./run.sh", standalone_mode=False) or 0)
    except TyperException as error:
        print(f"error: {error.format_message()} See --help of the command.", file=sys.stderr)
        return 2
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except SystemExit as stopped:
        code = stopped.code if isinstance(stopped.code, int) else 1
    except BrokenPipeError:  # `… | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        return _report_error(error)
    if code in (INTERRUPTED, TERMINATED):
        print(f"\n{RESUME}\n  ./run.sh {shlex.join(argv)}", file=sys.stderr)
    return code


@contextmanager
def _sigterm_as_exit() -> Iterator[None]:
    """Unwind on SIGTERM as on Ctrl-C, so that every command says how to resume."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def _report_error(error: Exception) -> int:
    from solution.core import UserError  # not sooner: --help answers without pydantic

    if isinstance(error, UserError):
        print(f"error: {error}", file=sys.stderr)
        return 2
    log = Path("runs") / "error.txt"
    log.parent.mkdir(exist_ok=True)
    log.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
    print(f"error: internal error; traceback written to {log}", file=sys.stderr)
    return 1


def _with_ray_address(argv: list[str]) -> list[str]:
    """Give a bare --ray its address."""
    following = [*argv[1:], "-"]
    pairs = zip(argv, following, strict=True)
    return ["--ray=local" if w == "--ray" and n.startswith("-") else w for w, n in pairs]
