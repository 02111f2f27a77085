"""The actions of `submit` on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer
from typer import Argument, Option

from solution.cli.options import Sample

app = typer.Typer(help="Check, score, combine and log submissions.", rich_markup_mode=None)
File = Annotated[Path, Argument(help="submission CSV")]
Rows = Annotated[int, Option(help="questions of the public part")]
PrivateRows = Annotated[int, Option(help="questions of the private part")]
Note = Annotated[str, Option(help="text for the log")]


@app.command(epilog="Example: ./run.sh submit validate submission.csv --exam data/test.csv")
def validate(
    file: File,
    exam: Annotated[Path, Option(help="the test file that it answers")],
    run: Annotated[Path | None, Option(help="its run: also check its training data")] = None,
    sample: Sample = None,
) -> None:
    """Check a submission CSV against its test file and the contest's rules."""
    from solution.submit import validate as check

    print(check(file, exam, run, sample))


@app.command(epilog="Example: ./run.sh submit score submission.csv --solution solution.csv")
def score(
    file: File, solution: Annotated[Path, Option(help="answer key: id,answer,Usage")]
) -> None:
    """Print public and private accuracy with an answer key."""
    from solution.submit import score as compare

    print(compare(file, solution))


@app.command(epilog="Example: ./run.sh submit ensemble RUN RUN --exam data/test.csv")
def ensemble(
    sources: Annotated[list[Path], Argument(help="runs, prediction files or CSVs")],
    exam: Annotated[Path, Option(help="the test file that they answer")],
    out: Annotated[Path | None, Option(help="folder (default: submissions/ensemble)")] = None,
    combine: Annotated[
        Literal["probabilities", "votes"], Option(help="what is averaged")
    ] = "probabilities",
    weights: Annotated[str, Option(help="equal, learn or 1,2,…")] = "equal",
    train: Annotated[Path | None, Option(help="exam with answers, to fit weights on")] = None,
    oof: Annotated[list[Path] | None, Option(help="out-of-fold predictions, repeated")] = None,
    fallback: Annotated[Path | None, Option(help="run for rows of small margin")] = None,
    fallback_margin: Annotated[float, Option(help="margin below which it answers")] = 0.1,
    sample: Sample = None,
    solution: Annotated[Path | None, Option(help="answer key, if known")] = None,
    note: Note = "",
) -> None:
    """Combine several runs into one submission."""
    from solution.submit import EnsembleOptions
    from solution.submit import ensemble as run

    options = EnsembleOptions(
        combine=combine,
        weights=weights,
        train=train,
        out_of_fold=tuple(oof or ()),
        fallback=fallback,
        fallback_margin=fallback_margin,
    )
    print(run(sources, exam, out, options, sample=sample, solution=solution, note=note))


@app.command(epilog="Example: ./run.sh submit shakeup 0.7396")
def shakeup(
    score: Annotated[float, Argument(help="public accuracy")],
    rows: Rows = 434,
    private_rows: PrivateRows = 435,
) -> None:
    """Print the private score to expect from a public one."""
    from solution.submit import shakeup as estimate

    print(estimate(score, rows, private_rows))


@app.command(epilog="Example: ./run.sh submit history submission.csv --public 0.7396")
def history(
    file: Annotated[Path | None, Argument(help="add scores or a note to this one")] = None,
    public: Annotated[float | None, Option(help="accuracy on the public part")] = None,
    private: Annotated[float | None, Option(help="accuracy on the private part")] = None,
    rows: Rows = 434,
    private_rows: PrivateRows = 435,
    note: Note = "",
) -> None:
    """List every submission written, with its scores."""
    from solution.submit import correct_count
    from solution.submit import history as show

    def counts(score: float | None, n: int) -> tuple[int, int] | None:
        return None if score is None else (correct_count(score, n), n)

    print(show(file, counts(public, rows), counts(private, private_rows), note))
