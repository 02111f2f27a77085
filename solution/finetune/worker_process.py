"""Run a function in a new process, which returns all its memory when it exits."""

from __future__ import annotations

import os
import signal
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from solution.core import UserError, log

T = TypeVar("T")


def run_in_process(function: Callable[..., T], *args: Any, killed: str) -> T:
    """Call `function(*args)` in a spawned process and return its result once it has exited.

    SIGTERM is forwarded to the process, and Ctrl-C as SIGTERM: training saves a checkpoint.
    An exception of the function is raised here.

    Raises UserError: with the message `killed`, where the process was killed by a signal.
    """
    context = get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_call, args=(sender, function, args))
    with _forward_sigterm(process):
        process.start()
        sender.close()
        try:
            error, result = receiver.recv()
        except EOFError:
            error, result = UserError(killed), None
        except BaseException:  # Ctrl-C
            log("Stopping after the step; Ctrl-C again stops at once.")
            process.terminate()
            raise
        finally:
            _join(process)
    if process.exitcode == -signal.SIGTERM:
        raise SystemExit(128 + signal.SIGTERM)
    if error is not None:
        raise error
    return result  # type: ignore[no-any-return]


def _join(process: Any) -> None:
    try:
        process.join()
    except BaseException:
        process.kill()
        raise


@contextmanager
def stop_requests() -> Iterator[Callable[[], bool]]:
    """Yield a function that returns whether SIGTERM has arrived in this process."""
    received: list[int] = []
    previous = signal.signal(signal.SIGTERM, lambda number, _frame: received.append(number))
    try:
        yield lambda: bool(received)
    finally:
        signal.signal(signal.SIGTERM, previous)


@contextmanager
def _forward_sigterm(process: Any) -> Iterator[None]:
    """Send the first SIGTERM to `process`; a second one acts on this process as before."""

    def forward(_number: int, _frame: Any) -> None:
        signal.signal(signal.SIGTERM, previous)
        if process.is_alive():
            process.terminate()

    previous = signal.signal(signal.SIGTERM, forward)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def _call(sender: Connection, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent passes Ctrl-C on as SIGTERM
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    try:
        message: tuple[BaseException | None, Any] = (None, function(*args))
    except (UserError, SystemExit) as error:
        message = (error, None)
    except Exception:
        message = (RuntimeError(f"in a worker process:\n{traceback.format_exc()}"), None)
    sender.send(message)
    sender.close()


def _exit_with_parent() -> None:
    parent = parent_process()
    assert parent is not None, "runs in a spawned process"
    parent.join()
    os._exit(1)
