"""The actions of `kowiki` on the command line; heavy imports only inside them."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_kowiki(command: argparse.ArgumentParser) -> None:
    """Give `kowiki` its actions and their options."""
    wiki, built = "data/embedded/wiki.xml.bz2", Path("runs/kowiki/passages")
    actions = command.add_subparsers(metavar="ACTION", required=True)
    action = actions.add_parser("build", help="cut a dump into passages")
    action.add_argument(
        "source", nargs="?", default=wiki, help="dump, folder, parquet or hub id"
    )
    action.add_argument("--out", type=Path, default=built, help="folder to write")
    action.add_argument("--max-chars", type=int, default=300, help="length of a passage")
    action.add_argument("--min-page-chars", type=int, default=100, help="shorter pages go")
    action.add_argument("--workers", type=int, help="processes (default: one a core)")
    action.set_defaults(command=_kowiki_build)
    action = actions.add_parser("search", help="find passages, or the articles of objectives")
    action.add_argument("query", nargs="?", help="what to search for")
    action.add_argument("--passages", type=Path, default=built, help="folder of a build")
    action.add_argument("--objectives", type=Path, help="file of one objective a line")
    action.add_argument("--top-k", type=int, default=5, help="passages for each query")
    action.add_argument("--json", action="store_true", help="one JSON object a line")
    action.set_defaults(command=_kowiki_search)
    action = actions.add_parser("questions", help="make questions that no exam holds")
    action.add_argument("--passages", type=Path, default=built, help="folder of a build")
    action.add_argument("--test", required=True, help="the test file; always checked")
    action.add_argument("--exam", type=Path, action="append", default=[], help="another exam")
    action.add_argument("--out", type=Path, default=Path("runs/kowiki/questions"))
    action.add_argument("--limit", type=int, help="keep so many, drawn evenly")
    action.add_argument("--teacher", help="a model writes them: short name or FILE.yaml")
    action.add_argument("--judge", help="leave out what this model finds no answer to")
    action.add_argument("--judge-prompt", default="contest", help="prompt name or FILE.yaml")
    action.add_argument("--seed", type=int, default=0)
    action.set_defaults(command=_kowiki_questions)
    action = actions.add_parser(
        "ablation", help="tune with no wiki, its text, questions on it or both, and compare"
    )
    action.add_argument("--recipe", default="embedded", help="short name or FILE.yaml")
    action.add_argument("--passages", type=Path, default=built, help="folder of a build")
    action.add_argument(
        "--questions", type=Path, default=Path("runs/kowiki/questions/questions.csv")
    )
    action.add_argument("--steps", type=int, required=True, help="steps of every run")
    action.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    action.add_argument("--out", type=Path, default=Path("runs/kowiki/ablation"))
    action.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    action.set_defaults(command=_kowiki_ablation)


def _kowiki_build(options: argparse.Namespace) -> None:
    from solution.core import resolve_path
    from solution.kowiki import build, open_index, read_manifest

    local = resolve_path(options.source)
    folder = build(
        str(local) if local.exists() else options.source,
        options.out,
        max_chars=options.max_chars,
        min_page_chars=options.min_page_chars,
        workers=options.workers,
    )
    open_index(folder)
    told = read_manifest(folder)
    print(f"{folder}: {told['passages']} passages of {told['pages'].get('kept', 0)} articles")


def _kowiki_search(options: argparse.Namespace) -> None:
    from solution.core import UserError
    from solution.kowiki import articles_text, search, select_articles

    if (options.query is None) == (options.objectives is None):
        raise UserError("Give either a query or --objectives FILE.")
    wiki, top_k = options.passages, options.top_k
    if options.objectives:
        print(articles_text(select_articles(options.objectives, wiki, top_k), options.json))
    else:
        print(search(options.query, wiki, top_k, options.json))


def _kowiki_questions(options: argparse.Namespace) -> None:
    import json

    from solution.core import resolve_path
    from solution.exam import load_prompt
    from solution.kowiki import Judge, questions
    from solution.models import ModelReference

    reference = ModelReference(model=options.judge) if options.judge else None
    judge = Judge(reference, load_prompt(options.judge_prompt)) if reference else None
    report = questions(
        options.passages,
        resolve_path(options.test),
        options.exam,
        options.out,
        limit=options.limit,
        seed=options.seed,
        teacher=options.teacher,
        judge=judge,
    )
    print(json.dumps(report, ensure_ascii=False, indent=2))


def _kowiki_ablation(options: argparse.Namespace) -> None:
    from solution.submit import ablate

    print(
        ablate(
            options.recipe,
            options.passages,
            options.questions,
            steps=options.steps,
            seeds=options.seeds,
            out=options.out,
            overrides=options.set,
        )
    )
