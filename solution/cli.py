"""The command line: one small function per command; heavy imports only inside them."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from solution.cli_export import add_export
from solution.cli_kowiki import add_kowiki
from solution.cli_submit import add_submit

if TYPE_CHECKING:
    from solution.kowiki import RetrievalConfig

RESUME = "Interrupted. Run the same command again to go on from here."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return 0 when done, 2 where the user can mend it, else 1."""
    options = _parser().parse_args(arguments)
    from solution.core import UserError  # not sooner: --help answers without pydantic

    os.environ.setdefault("UNSLOTH_DISABLE_STATISTICS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        options.command(options)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        again = shlex.join(sys.argv[1:] if arguments is None else arguments)
        print(f"\n{RESUME}\n  ./run.sh {again}", file=sys.stderr)
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

    given = {"permutations": options.permutations, "debias": options.debias}
    changes = [f"{key}={value}" for key, value in given.items() if value is not None]
    changes = [*options.set, *changes]
    files = (options.exam, options.solution, options.out)
    print(explore(options.suite, *files, changes, data=options.data, ray=options.ray))


def _finetune(options: argparse.Namespace) -> None:
    from solution.finetune import before_after_table, finetune, is_main_process
    from solution.submit import submit_run

    where = options.train, options.test, options.out
    run = finetune(options.recipe, *where, options.set, folds=options.folds)
    if is_main_process():
        print(before_after_table(run), submit_run(run), sep="\n\n")


def _plan(options: argparse.Namespace) -> None:
    from solution.finetune import plan

    print(plan(options.recipe, options.model, options.card, options.length, options.set))


def _translate(options: argparse.Namespace) -> None:
    from solution.finetune import translate

    where = options.out or Path("runs") / "translate" / f"kocot-{options.rows}"
    print(translate(options.source, options.rows, options.by, where, options.seed))


def _predict(options: argparse.Namespace) -> None:
    from solution.submit import predict

    print(
        predict(
            options.model,
            options.exam,
            options.out,
            adapter=options.adapter,
            prompt=options.prompt,
            batch_tokens=options.batch_tokens,
            permutations=1 if options.permutations is None else options.permutations,
            debias=options.debias or "none",
            retrieve=_retrieve(options),
        )
    )


def _ask(options: argparse.Namespace) -> None:
    from solution.ask import ask

    models = options.model or ["data/embedded/models/tiny-m", "data/embedded/models/tiny-l"]
    where = options.exam, options.prompt, options.port
    ask(models, options.adapter, *where, retrieve=_retrieve(options))


def _retrieve(options: argparse.Namespace) -> RetrievalConfig | None:
    from solution.kowiki import RetrievalConfig

    if options.passages:
        return RetrievalConfig(passages=str(options.passages), top_k=options.top_k)
    return None


def _harness(options: argparse.Namespace) -> None:
    from solution.scoring import run_harness

    run_harness(options.arguments)


def _report(options: argparse.Namespace) -> None:
    from solution.report import report

    print(report(options.runs, options.out, options.memory_limit))


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
    _add_orders(command)
    command.add_argument(
        "--data", type=Path, help="folder of a benchmark's files, instead of the hub's"
    )
    _add_run_options(command)
    command.add_argument(
        "--ray", nargs="?", const="local", metavar="ADDRESS", help="score on a Ray cluster"
    )
    command.set_defaults(command=_explore)

    command = commands.add_parser("finetune", help="tune a model and write a submission")
    command.add_argument("--recipe", default="embedded", help="short name or FILE.yaml")
    command.add_argument("--train", type=Path, help="train on this exam CSV instead")
    command.add_argument(
        "--test", type=Path, help="write the submission for this exam CSV instead"
    )
    command.add_argument("--folds", type=int, help="tune so many adapters, each on the rest")
    _add_run_options(command)
    command.set_defaults(command=_finetune)

    _add_plan(commands.add_parser("plan", help="the memory that a fine-tuning needs"))
    _add_translate(
        commands.add_parser("translate", help="rows of CoT-Collection in Korean, as KoCoT_2000")
    )
    command = commands.add_parser("predict", help="answer one exam with one model")
    command.add_argument("--model", required=True, help="hub id or folder")
    command.add_argument("--adapter", type=Path, help="folder of a PEFT adapter")
    command.add_argument("--exam", type=Path, required=True, help="exam CSV")
    command.add_argument("--out", type=Path, required=True, help="folder to write")
    command.add_argument("--prompt", default="contest", help="prompt name or FILE.yaml")
    command.add_argument("--batch-tokens", type=int, default=16384, help="tokens a batch")
    _add_orders(command)
    _add_retrieval(command)
    command.set_defaults(command=_predict)

    _add_ask(commands.add_parser("ask", help="a page to ask one or two models a question"))
    add_kowiki(commands.add_parser("kowiki", help="a wiki's dump to passages and questions"))
    command = commands.add_parser(
        "harness", help="lm-evaluation-harness with this project's engine as model exam-qa"
    )
    command.add_argument(
        "arguments",
        nargs=argparse.REMAINDER,
        help="its command line: run --model exam-qa --model_args pretrained=... --tasks ...",
    )
    command.set_defaults(command=_harness)

    add_export(commands.add_parser("export", help="a run merged, as GGUF or on the hub"))
    add_submit(commands.add_parser("submit", help="check or score a submission"))
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


def _add_orders(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--permutations",
        type=int,
        metavar="N",
        help="score N orders of the choices and average them",
    )
    command.add_argument(
        "--debias",
        choices=["none", "pride"],
        help="pride: take out a liking for some places, learnt from a few rotations",
    )


def _add_plan(command: argparse.ArgumentParser) -> None:
    command.add_argument("--recipe", help="short name or FILE.yaml")
    command.add_argument("--model", help="folder, config.json or hub id: 4-bit LoRA on it")
    command.add_argument("--card", help="v100, a100-80, ..., or GiB; else this machine")
    command.add_argument("--length", type=int, help="tokens of a row")
    command.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    command.set_defaults(command=_plan)


def _add_translate(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "source", nargs="?", default="kaist-ai/CoT-Collection", help="file, folder or hub id"
    )
    command.add_argument("--rows", type=int, default=2000, help="draw so many (2000)")
    command.add_argument(
        "--by", default="deepl", help="deepl (key in DEEPL_AUTH_KEY), or a seq2seq model"
    )
    command.add_argument("--seed", type=int, default=0, help="decides what is drawn")
    command.add_argument("--out", type=Path, help="folder to write the run to")
    command.set_defaults(command=_translate)


def _add_retrieval(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--passages", type=Path, help="answer with a `kowiki build`'s passages"
    )
    command.add_argument(
        "--top-k", type=int, choices=[1, 2, 3], default=1, help="passages at most"
    )


def _add_ask(command: argparse.ArgumentParser) -> None:
    command.add_argument("--model", action="append", help="hub id or folder; at most twice")
    command.add_argument("--adapter", type=Path, help="also show the last model with it")
    command.add_argument("--exam", type=Path, default=Path("data/embedded/test.csv"))
    command.add_argument("--prompt", default="embedded", help="prompt name or FILE.yaml")
    _add_retrieval(command)
    command.add_argument("--port", type=int, help="otherwise the first free one from 7860")
    command.set_defaults(command=_ask)


def _add_run_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--out", type=Path, help="folder to write the run to")
    command.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="override one key of the YAML",
    )
