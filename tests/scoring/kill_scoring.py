"""Scores an exam in processes that are killed (SIGKILL) at random moments, until one is done.

    python tests/scoring/kill_scoring.py MODEL OUT [KILLS]

Writes OUT/whole.parquet (never killed) and OUT/killed.parquet, and prints how often a process
was killed after it had stored something. Every attempt is a fork of a parent that computes
nothing itself, so that a kill costs no new import.
"""

import os
import random
import signal
import sys
import threading
import time
from pathlib import Path

sys.path += [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[2])]
from reference import some_questions

from solution.exam import Prompt
from solution.models import ModelReference, load
from solution.scoring import evaluate, open_score_cache, write_predictions

PROMPT = Prompt(
    name="plain",
    user={"paragraph": "$paragraph", "question": "$question", "choices": "$choices"},
    answer="($label)",
)


def score_exam(model: str, cache: Path, out: Path, delay: float | None) -> None:
    """Score and write; with a delay (seconds from the first batch on) die on the way."""

    def on_batch(_count: int) -> None:
        nonlocal delay
        if delay is not None:
            threading.Timer(delay, os.kill, (os.getpid(), signal.SIGKILL)).start()
            delay = None

    loaded = load(ModelReference(model=model, dtype="float32"))
    scored, _ = evaluate(
        loaded,
        some_questions(80, seed=4),
        PROMPT,
        batch_tokens=600,
        permutations=2,
        cache=open_score_cache(cache, loaded, {}),
        on_batch=on_batch,
    )
    write_predictions(out, scored, {})
    os._exit(0)


def in_child(*arguments: object) -> bool:
    """Run in a fork; return whether it finished."""
    if not (pid := os.fork()):
        score_exam(*arguments)
    return os.waitpid(pid, 0)[1] == 0


def main() -> None:
    """Score once whole, then killed until enough kills hit and the work is done."""
    model, out, kills = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    start = time.monotonic()
    assert in_child(model, out / "whole.sqlite", out / "whole.parquet", None)
    longest, rng, killed = time.monotonic() - start, random.Random(0), 0
    while killed < kills:
        done = in_child(
            model, out / "c.sqlite", out / "killed.parquet", rng.uniform(0, longest / kills / 2)
        )
        killed += not done
        if done and killed < kills:
            print(f"finished after {killed} kills; starting over")
            (out / "c.sqlite").unlink()
    assert in_child(model, out / "c.sqlite", out / "killed.parquet", None)
    print(f"{killed} kills")


if __name__ == "__main__":
    main()
