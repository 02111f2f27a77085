"""Commands over finished runs: `runs`, `compare`, `errors`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

Name = Annotated[str, Argument(help="folder of a run, or the end of its path: embedded/tiny-l")]
CsvFile = Annotated[Path | None, Option("--csv", help="write all questions to this file")]


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.command(epilog="Example: ./run.sh runs")(runs)
    app.command(epilog="Example: ./run.sh compare runs/finetune/embedded embedded/tiny-l")(
        compare
    )
    app.command(epilog="Example: ./run.sh errors embedded/tiny-l --csv wrong.csv")(errors)


def runs(
    folder: Annotated[Path, Argument(help="where to look")] = Path("runs"),
) -> None:
    """List runs: accuracy, date, size and what can be removed."""
    from solution.report import list_runs

    print(list_runs(folder))


def compare(first: Name, second: Name, csv_file: CsvFile = None) -> None:
    """Compare two runs on one exam: paired test, questions gained and lost."""
    from solution.report import compare_runs

    print(compare_runs(first, second, csv_file))


def errors(
    run: Name,
    csv_file: CsvFile = None,
    limit: Annotated[int, Option(min=1, help="rows of the table")] = 20,
) -> None:
    """List the wrong answers of a run, the most confident first."""
    from solution.report import list_errors

    print(list_errors(run, csv_file, limit))
