"""Worker processes: one server imports the libraries once and forks for each candidate."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from solution.explore.job import Job, display_path


class Workers:
    """Runs jobs one at a time, each in a process of its own that returns all its memory.

    The server (`python -m solution.explore.worker`) starts with the first job. Leaving the
    context kills it and the process of a job that is still running.
    """

    def __init__(self) -> None:
        self._server: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop()

    def run(self, job: Job) -> str:
        """Run one job to its end; return why it failed, or ''."""
        job.log.parent.mkdir(parents=True, exist_ok=True)
        server = self._server = self._server or _start_server()
        assert server.stdin is not None and server.stdout is not None
        with suppress(BrokenPipeError):
            # stdin stays open: its end tells the processes that this one is gone
            server.stdin.write(job.model_dump_json() + "\n")
            server.stdin.flush()
        line = server.stdout.readline()
        if not line:
            status = server.wait()
            self._stop()
            return _reason(job, status, "")
        result = json.loads(line)
        return _reason(job, result["status"], result["reason"])

    def _stop(self) -> None:
        server, self._server = self._server, None
        if server is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()
        for stream in (server.stdin, server.stdout):
            with suppress(BrokenPipeError):
                stream.close()  # type: ignore[union-attr]


def _start_server() -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "solution.explore.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=_environment(),
        process_group=0,  # killed together with the process of its job
    )


def _environment() -> dict[str, str]:
    """Return the environment, with the project importable from any directory."""
    paths = [str(Path(__file__).resolve().parents[2]), os.environ.get("PYTHONPATH", "")]
    pythonpath = os.pathsep.join(path for path in paths if path)
    # Libraries show no bars: progress goes to a file.
    return {**os.environ, "PYTHONPATH": pythonpath, "TQDM_DISABLE": "1"}


def _reason(job: Job, status: int, reason: str) -> str:
    if status == 0:
        return ""
    if status == 2 and reason:
        return reason
    log = f"log: {display_path(job.failed_log)}" if job.log.exists() else "see the lines above"
    if status == -signal.SIGKILL:
        return (
            "killed by the OS, probably out of memory: use a smaller model, "
            f"`quantization: 4bit` or a machine with more memory ({log})"
        )
    if status < 0:
        name = signal.Signals(-status).name
        return f"crashed ({name}): retry; if it persists, run ./run.sh doctor ({log})"
    return f"ended with status {status} ({log})"
