"""Compare training with no wiki, its text, questions on it or both, at equal steps.

python benchmarks/ablation.py --steps 458 [--recipe embedded] [--seeds 0 1 2]
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from solution.core import UserError, aligned, atomic_write, log, resolve_path
from solution.exam import (
    Question,
    near_duplicate_groups,
    read_answer_key,
    read_exam,
    with_answers,
)
from solution.explore import clustered_error
from solution.finetune import WITHOUT_PASSAGES, finetune, read_recipe
from solution.scoring import read_predictions

ARMS: Mapping[str, tuple[str, ...]] = {
    "none": (),
    "text": ("passages",),
    "questions": ("questions",),
    "both": ("passages", "questions"),
}
NEVER, RETRIEVED = "without passages", "with passages"
Credits = list[float]


class Cell(NamedTuple):
    """One way of training and answering: for each test question its share of right seeds."""

    arm: str
    way: str
    credits: Credits


def ablate(
    recipe: str,
    passages: Path,
    questions: Path,
    *,
    steps: int,
    seeds: Sequence[int],
    out: Path,
    overrides: Sequence[str],
) -> str:
    """Tune every arm once per seed for `steps` steps, and compare them by question.

    Every run answers the test without passages and with retrieved ones; arms that train on
    questions see passages in training too. Finished runs are reused, so an interrupted ablation
    resumes. Raises UserError where the test's key is unknown.
    """
    test = _test(recipe, overrides)
    sources = {"passages": str(passages), "questions": str(questions)}
    cells: list[Cell] = []
    for arm, parts in ARMS.items():
        runs = []
        for seed in seeds:
            log(f"ablation: {arm}, seed {seed}")
            changes = _changes(arm, {part: sources[part] for part in parts}, passages)
            same = [f"train.max_steps={steps}", "train.epochs=100000", f"data.seed={seed}"]
            place = out / f"{arm}-{seed}"
            runs.append(finetune(recipe, None, None, place, [*overrides, *same, *changes]))
        files = {NEVER: WITHOUT_PASSAGES, RETRIEVED: "predictions.parquet"}
        cells += [Cell(arm, way, _credits(runs, file, test)) for way, file in files.items()]
    table = _table(cells, test)
    with atomic_write(out / "ablation.md") as partial:
        partial.write_text(table + "\n", encoding="utf-8")
    return f"{table}\n\nFiles: {out}"


def _test(recipe: str, overrides: Sequence[str]) -> Sequence[Question]:
    data = read_recipe(recipe, None, None, overrides).data
    if data.solution is None:
        raise UserError("data.solution: an ablation needs the test's key. Name it with --set.")
    exam = read_exam(resolve_path(data.test))
    return with_answers(exam, read_answer_key(resolve_path(data.solution))).questions


def _changes(arm: str, kowiki: Mapping[str, str], passages: Path) -> list[str]:
    shown = 1 if "questions" in kowiki else 0
    plan = {"passages": str(passages), "train_fraction": shown}
    changes = [f"retrieve={json.dumps(plan)}", f"name=ablation-{arm}"]
    return [*changes, f"data.kowiki={json.dumps(dict(kowiki))}"] if kowiki else changes


def _credits(runs: Sequence[Path], file: str, test: Sequence[Question]) -> Credits:
    answers = [[row.answer for row in read_predictions(run / file)] for run in runs]
    return [
        sum(answer == question.answer for answer in given) / len(given)
        for question, *given in zip(test, *answers, strict=True)
    ]


def _table(cells: Sequence[Cell], test: Sequence[Question]) -> str:
    """Accuracy and, below, the difference to the first cell with its 95 % interval, in points.

    The interval is that of the mean difference over the questions, those on one passage
    together (Miller 2024, arXiv 2411.00640); it says nothing of seeds that were not run.
    """
    groups = near_duplicate_groups(test)
    parts = {"all": list(range(len(test)))}
    for subject in dict.fromkeys(q.subject for q in test if q.subject):
        parts[subject] = [i for i, q in enumerate(test) if q.subject == subject]
    rows = []
    for cell in cells:
        row = [f"{cell.arm}, {cell.way}"]
        for rows_of in parts.values():
            own = [cell.credits[i] for i in rows_of]
            apart = [cell.credits[i] - cells[0].credits[i] for i in rows_of]
            reach = 1.96 * clustered_error(apart, [groups[i] for i in rows_of])
            change = 100 * sum(apart) / len(apart)
            row += [f"{sum(own) / len(own):.4f}", f"{change:+.1f} ± {100 * reach:.1f}"]
        rows.append(row)
    heads = [head for part in parts for head in (part, "points")]
    return aligned(["wiki in training, answering", *heads], rows)


def main() -> int:
    """Run the ablation; return 2 for an error of the user."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    kowiki = Path("runs/kowiki")
    parser.add_argument("--recipe", default="embedded", help="short name or FILE.yaml")
    parser.add_argument("--passages", type=Path, default=kowiki / "passages")
    parser.add_argument("--questions", type=Path, default=kowiki / "questions/questions.csv")
    parser.add_argument("--steps", type=int, required=True, help="steps of every run")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", type=Path, default=kowiki / "ablation")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    o = parser.parse_args()
    try:
        print(
            ablate(
                o.recipe,
                o.passages,
                o.questions,
                steps=o.steps,
                seeds=o.seeds,
                out=o.out,
                overrides=o.set,
            )
        )
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
