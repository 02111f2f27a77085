"""The actions of `submit` on the command line; heavy imports only inside them."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_submit(command: argparse.ArgumentParser) -> None:
    """Give `submit` its actions and their options."""
    actions = command.add_subparsers(metavar="ACTION", required=True)
    action = actions.add_parser("validate", help="say what is wrong with a submission CSV")
    action.add_argument("file", type=Path)
    action.add_argument("--exam", type=Path, required=True, help="the test file it answers")
    action.add_argument("--run", type=Path, help="its run: also check what was trained on")
    action.set_defaults(command=_validate)
    action = actions.add_parser("score", help="public and private accuracy against a key")
    action.add_argument("file", type=Path)
    action.add_argument("--solution", type=Path, required=True, help="CSV of id,answer,Usage")
    action.set_defaults(command=_score)
    _add_ensemble(actions.add_parser("ensemble", help="make one submission of several runs"))
    action = actions.add_parser("shakeup", help="the private score to expect of a public one")
    action.add_argument("score", type=float, help="public accuracy, as 0.7396")
    _add_halves(action)
    action.set_defaults(command=_shakeup)
    action = actions.add_parser("history", help="every submission written, and its scores")
    action.add_argument("file", type=Path, nargs="?", help="add scores or a note to this one")
    action.add_argument("--public", type=float, help="accuracy that the board gave")
    action.add_argument("--private", type=float)
    _add_halves(action)
    action.add_argument("--note", default="")
    action.set_defaults(command=_history)


def _add_halves(action: argparse.ArgumentParser) -> None:
    action.add_argument("--rows", type=int, default=434, help="questions of the public half")
    action.add_argument("--private-rows", type=int, default=435)


def _add_ensemble(action: argparse.ArgumentParser) -> None:
    ways = ["probabilities", "votes"]
    action.add_argument("sources", type=Path, nargs="+", help="runs, parquet files or CSVs")
    action.add_argument("--exam", type=Path, required=True, help="the test file they answer")
    action.add_argument("--out", type=Path, help="folder to write (submissions/ensemble)")
    action.add_argument("--combine", choices=ways, default=ways[0], help="what is averaged")
    action.add_argument("--weights", default="equal", help="equal, learn or 1,2,...")
    action.add_argument("--train", type=Path, help="exam with answers, to learn weights on")
    action.add_argument("--oof", type=Path, action="append", default=[], metavar="FILE")
    action.add_argument("--fallback", type=Path, help="run that answers unsure rows")
    action.add_argument("--fallback-margin", type=float, default=0.1, help="unsure below")
    action.add_argument("--solution", type=Path, help="the key, where it is known")
    action.add_argument("--note", default="", help="kept in the history")
    action.set_defaults(command=_ensemble)


def _validate(options: argparse.Namespace) -> None:
    from solution.submit import validate

    print(validate(options.file, options.exam, options.run))


def _score(options: argparse.Namespace) -> None:
    from solution.submit import score

    print(score(options.file, options.solution))


def _ensemble(options: argparse.Namespace) -> None:
    from solution.submit import EnsembleOptions, ensemble

    wishes = EnsembleOptions(
        combine=options.combine,
        weights=options.weights,
        train=options.train,
        out_of_fold=tuple(options.oof),
        fallback=options.fallback,
        fallback_margin=options.fallback_margin,
    )
    places = options.sources, options.exam, options.out
    print(ensemble(*places, wishes, solution=options.solution, note=options.note))


def _shakeup(options: argparse.Namespace) -> None:
    from solution.submit import shakeup

    print(shakeup(options.score, options.rows, options.private_rows))


def _history(options: argparse.Namespace) -> None:
    from solution.submit import correct_count, history

    given = (options.public, options.rows), (options.private, options.private_rows)
    public, private = (
        None if score is None else (correct_count(score, rows), rows) for score, rows in given
    )
    print(history(options.file, public, private, options.note))
