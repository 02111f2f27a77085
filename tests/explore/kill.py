"""Stops a sweep at random moments, by Ctrl-C and SIGKILL in turn, and looks at its end.

    python tests/explore/kill.py [--stops 12] [--seed 0]

Not collected by pytest: it takes minutes. Ends with exit 1 where a finished candidate was
scored a second time, or a prediction differs from those of a sweep that was left alone.
"""

import argparse
import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# About what a sweep of the embedded study takes; a stop comes at any moment of it.
SECONDS = 14.0


def start(out: Path) -> subprocess.Popen:
    """The sweep of the embedded study without answers of earlier sweeps."""
    command = [sys.executable, "-m", "solution", "explore", "--out", str(out)]
    return subprocess.Popen(
        command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def stop(process: subprocess.Popen, way: signal.Signals) -> bool:
    """Ctrl-C goes to all of a terminal's processes, and a power cut too; whether it hit."""
    hit = process.poll() is None
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, way)
    process.wait()
    return hit and process.returncode != 0


def finished(out: Path) -> dict[str, int]:
    """The finished candidates and when each was."""
    return {path.parent.name: path.stat().st_mtime_ns for path in out.glob("*/config.yaml")}


def main() -> int:
    """Say how often it was stopped and whether all is as it should be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stops", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    rng = random.Random(given.seed)
    stops, good = 0, True
    with tempfile.TemporaryDirectory() as place:
        whole = Path(place) / "whole"
        good = start(whole).wait() == 0
        for sweep in range(100):
            out, before = Path(place) / f"sweep{sweep}", {}
            ways = [signal.SIGINT, signal.SIGKILL] * 2
            while ways and stops < given.stops:
                process = start(out)
                time.sleep(rng.uniform(0, SECONDS))
                stops += stop(process, ways.pop())
                good &= before.items() <= finished(out).items()
                before = finished(out)
            good &= start(out).wait() == 0 and before.items() <= finished(out).items()
            for run in whole.glob("*/predictions.parquet"):
                ours = out / run.parent.name / run.name
                good &= ours.is_file() and ours.read_bytes() == run.read_bytes()
            print(f"{stops} stops, {len(finished(out))} candidates", flush=True)
            if stops >= given.stops:
                break
    print("as if never stopped" if good else "DIFFERENT from a sweep left alone")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
