"""The command line: one small function per command; heavy imports only inside them."""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

RESUME = "Interrupted. Run the same command again to go on from here."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return 0 when done, 2 where the user can mend it, else 1."""
    options = _parser().parse_args(arguments)
    from solution.base import UserError  # not sooner: --help answers without pydantic

    os.environ.setdefault("UNSLOTH_DISABLE_STATISTICS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        options.command(options)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"\n{RESUME}", file=sys.stderr)
        return 130
    except Exception:
        log = Path("runs") / "fault.txt"
        log.parent.mkdir(exist_ok=True)
        log.write_text(traceback.format_exc(), encoding="utf-8")
        print(f"error: a fault of ours; the traceback is in {log}", file=sys.stderr)
        return 1
    return 0


def _doctor(_options: argparse.Namespace) -> None:
    from solution.models import doctor

    print(doctor())


def _explore(options: argparse.Namespace) -> None:
    from solution.explore import explore

    print(explore(options.suite, options.exam, options.solution, options.out, options.set))


def _finetune(options: argparse.Namespace) -> None:
    from solution.finetune import finetune, gains
    from solution.submit import submit_run

    run = finetune(options.recipe, options.train, options.test, options.out, options.set)
    print(gains(run), submit_run(run), sep="\n\n")


def _predict(options: argparse.Namespace) -> None:
    from solution.submit import predict

    print(
        predict(
            options.model,
            options.adapter,
            options.exam,
            options.out,
            options.prompt,
            options.batch_tokens,
        )
    )


def _harness(options: argparse.Namespace) -> None:
    from solution.scoring import run_harness

    run_harness(options.arguments)


def _validate(options: argparse.Namespace) -> None:
    from solution.submit import validate

    print(validate(options.file, options.exam))


def _score(options: argparse.Namespace) -> None:
    from solution.submit import score

    print(score(options.file, options.solution))


def _report(options: argparse.Namespace) -> None:
    from solution.report import report

    print(report(options.runs, options.out, options.memory_limit))


def _kowiki_build(options: argparse.Namespace) -> None:
    from solution.base import find
    from solution.kowiki import build, open_index, read_manifest

    local = find(options.source)
    folder = build(str(local) if local.exists() else options.source, options.out)
    open_index(folder)
    told = read_manifest(folder)
    print(f"{folder}: {told['passages']} passages of {told['pages'].get('kept', 0)} articles")


def _kowiki_search(options: argparse.Namespace) -> None:
    from solution.base import UserError
    from solution.kowiki import articles_text, search, select_articles

    if (options.query is None) == (options.objectives is None):
        raise UserError("Give either a query or --objectives FILE.")
    wiki, how = options.passages, (options.analyser, options.k)
    if options.objectives:
        print(articles_text(select_articles(options.objectives, wiki, *how), options.json))
    else:
        print(search(options.query, wiki, *how, options.json))


def _kowiki_questions(options: argparse.Namespace) -> None:
    import json

    from solution.base import find
    from solution.kowiki import questions

    report = questions(
        options.passages,
        find(options.test),
        options.exam,
        options.out,
        limit=options.limit,
        seed=options.seed,
    )
    print(json.dumps(report, ensure_ascii=False, indent=2))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="./run.sh",
        description="Choose, fine-tune and submit models for Korean exam questions.",
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    command = commands.add_parser(
        "doctor", help="what this machine can run, and why not the rest"
    )
    command.set_defaults(command=_doctor)

    command = commands.add_parser(
        "explore", help="score candidate models on exams and rank them"
    )
    command.add_argument("--suite", default="embedded", help="short name or FILE.yaml")
    command.add_argument(
        "--exam", type=Path, help="score on this exam CSV instead of the suite's"
    )
    command.add_argument(
        "--solution", type=Path, help="its key, where the exam holds no answers"
    )
    _add_run_options(command)
    command.set_defaults(command=_explore)

    command = commands.add_parser("finetune", help="tune a model and write a submission")
    command.add_argument("--recipe", default="embedded", help="short name or FILE.yaml")
    command.add_argument("--train", type=Path, help="train on this exam CSV instead")
    command.add_argument(
        "--test", type=Path, help="write the submission for this exam CSV instead"
    )
    _add_run_options(command)
    command.set_defaults(command=_finetune)

    command = commands.add_parser("predict", help="answer one exam with one model")
    command.add_argument("--model", required=True, help="hub id or folder")
    command.add_argument("--adapter", type=Path, help="folder of a PEFT adapter")
    command.add_argument("--exam", type=Path, required=True, help="exam CSV")
    command.add_argument("--out", type=Path, required=True, help="folder to write")
    command.add_argument("--prompt", default="contest", help="prompt name or FILE.yaml")
    command.add_argument("--batch-tokens", type=int, default=16384, help="tokens a batch")
    command.set_defaults(command=_predict)

    _add_kowiki(commands.add_parser("kowiki", help="a wiki's dump to passages and questions"))
    command = commands.add_parser(
        "harness", help="lm-evaluation-harness with this project's engine as model exam-qa"
    )
    command.add_argument(
        "arguments",
        nargs=argparse.REMAINDER,
        help="its command line: run --model exam-qa --model_args pretrained=... --tasks ...",
    )
    command.set_defaults(command=_harness)

    _add_submit(commands.add_parser("submit", help="check or score a submission"))
    command = commands.add_parser("report", help="one HTML page of finished runs")
    command.add_argument(
        "runs", nargs="*", type=Path, metavar="RUN", help="folders of runs (all under runs/)"
    )
    command.add_argument("--out", type=Path, help="file to write (runs/report.html)")
    command.add_argument(
        "--memory-limit",
        type=float,
        default=32.0,
        metavar="GIB",
        help="your card's memory (32)",
    )
    command.set_defaults(command=_report)
    return parser


def _add_run_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--out", type=Path, help="folder to write the run to")
    command.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="override one key of the YAML",
    )


def _add_kowiki(command: argparse.ArgumentParser) -> None:
    wiki, built = "data/embedded/wiki.xml.bz2", Path("runs/kowiki/passages")
    actions = command.add_subparsers(metavar="ACTION", required=True)
    action = actions.add_parser("build", help="cut a dump into passages")
    action.add_argument(
        "source", nargs="?", default=wiki, help="dump, folder, parquet or hub id"
    )
    action.add_argument("--out", type=Path, default=built, help="folder to write")
    action.set_defaults(command=_kowiki_build)
    action = actions.add_parser("search", help="find passages, or the articles of objectives")
    action.add_argument("query", nargs="?", help="what to search for")
    action.add_argument("--passages", type=Path, default=built, help="folder of a build")
    action.add_argument("--objectives", type=Path, help="file of one objective a line")
    action.add_argument("-k", type=int, default=5, help="passages to find a query")
    action.add_argument("--analyser", choices=["bigrams", "words", "kiwi"], default="bigrams")
    action.add_argument("--json", action="store_true", help="one JSON object a line")
    action.set_defaults(command=_kowiki_search)
    action = actions.add_parser("questions", help="make questions that no exam holds")
    action.add_argument("--passages", type=Path, default=built, help="folder of a build")
    action.add_argument("--test", required=True, help="the test file; always checked")
    action.add_argument("--exam", type=Path, action="append", default=[], help="another exam")
    action.add_argument("--out", type=Path, default=Path("runs/kowiki/questions"))
    action.add_argument("--limit", type=int, help="keep so many, drawn evenly")
    action.add_argument("--seed", type=int, default=0)
    action.set_defaults(command=_kowiki_questions)


def _add_submit(command: argparse.ArgumentParser) -> None:
    actions = command.add_subparsers(metavar="ACTION", required=True)
    action = actions.add_parser("validate", help="say what is wrong with a submission CSV")
    action.add_argument("file", type=Path)
    action.add_argument("--exam", type=Path, required=True, help="the test file it answers")
    action.set_defaults(command=_validate)
    action = actions.add_parser("score", help="public and private accuracy against a key")
    action.add_argument("file", type=Path)
    action.add_argument("--solution", type=Path, required=True, help="CSV of id,answer,Usage")
    action.set_defaults(command=_score)
