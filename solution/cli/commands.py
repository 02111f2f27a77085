"""The commands: one small function each, with heavy imports only inside."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer import Argument, Option

from solution.cli.export import app as export_app
from solution.cli.kowiki import app as kowiki_app
from solution.cli.options import (
    Adapter,
    Debias,
    Exam,
    Model,
    ModelSet,
    Out,
    Passages,
    Permutations,
    Prompt,
    Quantization,
    RunPrompt,
    Sample,
    Set,
    TopK,
    names,
)
from solution.cli.runs import register as register_runs
from solution.cli.submit import app as submit_app

if TYPE_CHECKING:
    from solution.kowiki import RetrievalConfig

SETTINGS = {"help_option_names": ["-h", "--help"]}

app = typer.Typer(
    help="Choose, fine-tune and submit models for Korean exam questions.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings=SETTINGS,
)
app.add_typer(kowiki_app, name="kowiki")
app.add_typer(export_app, name="export")
app.add_typer(submit_app, name="submit")
register_runs(app)


@app.command()
def doctor() -> None:
    """Check what this machine can and cannot run, and why."""
    from solution.models import doctor as check

    print(check())


@app.command(epilog="Example: ./run.sh explore --suite embedded --exam mine.csv")
def explore(
    suite: Annotated[str, Option(help=f"{names('suites')} or FILE.yaml")] = "embedded",
    exam: Exam = None,
    solution: Annotated[Path | None, Option(help="its answer key, if separate")] = None,
    permutations: Permutations = None,
    debias: Debias = None,
    data: Annotated[Path | None, Option(help="folder of benchmark files, not the hub")] = None,
    out: Out = None,
    overrides: Set = None,
    ray: Annotated[
        str | None,
        Option(metavar="[ADDRESS]", help="score on a Ray cluster, or one started here"),
    ] = None,
) -> None:
    """Score candidate models on exams and benchmarks and rank them."""
    from solution.explore import explore as run

    given = {"permutations": permutations, "debias": debias}
    changes = [*(overrides or []), *(f"{k}={v}" for k, v in given.items() if v is not None)]
    print(run(suite, exam, solution, out, changes, data=data, ray=ray))


@app.command(epilog="Example: ./run.sh finetune --recipe embedded-kowiki")
def finetune(
    recipe: Annotated[str, Option(help=f"{names('recipes')} or FILE.yaml")] = "embedded",
    train: Annotated[Path | None, Option(help="train on this exam file instead")] = None,
    test: Annotated[Path | None, Option(help="answer this exam file instead")] = None,
    folds: Annotated[
        int | None, Option(help="tune this many adapters, each on the rest")
    ] = None,
    sample: Sample = None,
    out: Out = None,
    overrides: Set = None,
) -> None:
    """Fine-tune a model and write its submission."""
    from solution.finetune import before_after_table, is_main_process
    from solution.finetune import finetune as run
    from solution.submit import submit_run

    place = run(recipe, train, test, out, overrides or [], folds=folds)
    if is_main_process():
        print(before_after_table(place), submit_run(place, sample), sep="\n\n")


@app.command(epilog="Example: ./run.sh plan --recipe qwen2.5-32b-v100 --card v100")
def plan(
    recipe: Annotated[str | None, Option(help=f"{names('recipes')} or FILE.yaml")] = None,
    model: Annotated[str | None, Option(help="folder, config.json or hub id")] = None,
    card: Annotated[str | None, Option(help="v100, a100-80, …, or GiB (default: here)")] = None,
    length: Annotated[int | None, Option(help="tokens per row")] = None,
    overrides: Set = None,
) -> None:
    """Estimate the memory that a fine-tuning needs, before any download."""
    from solution.finetune import plan as estimate

    print(estimate(recipe, model, card, length, overrides or []))


@app.command(epilog="Example: ./run.sh predict --model MODEL --exam data/test.csv --out OUT")
def predict(
    exam: Annotated[Path, Option(help="exam file")],
    out: Annotated[Path, Option(help="folder to write")],
    sample: Sample = None,
    model: Model = None,
    adapter: Adapter = None,
    prompt: RunPrompt = None,
    quantization: Quantization = None,
    overrides: ModelSet = None,
    batch_tokens: Annotated[int, Option(help="tokens per batch")] = 16384,
    permutations: Permutations = None,
    debias: Debias = None,
    passages: Passages = None,
    top_k: TopK = 1,
) -> None:
    """Answer one exam with one model and write a submission."""
    from solution.submit import predict as run

    print(
        run(
            model,
            exam,
            out,
            adapter=adapter,
            prompt=prompt,
            changes=_changes(overrides, quantization),
            batch_tokens=batch_tokens,
            permutations=1 if permutations is None else permutations,
            debias=debias or "none",
            retrieve=_retrieval(passages, top_k),
            sample=sample,
        )
    )


@app.command(
    name="prompt", epilog="Example: ./run.sh prompt --model MODEL --exam data/test.csv --row ID"
)
def show_prompt(
    exam: Annotated[Path, Option(help="exam file")],
    model: Model = None,
    row: Annotated[str | None, Option(help="id of a question (default: the first)")] = None,
    adapter: Adapter = None,
    prompt: RunPrompt = None,
    quantization: Quantization = None,
    overrides: ModelSet = None,
) -> None:
    """Show the exact text and tokens of one question, and where the answer is read."""
    from solution.submit import show_prompt as show

    changes = _changes(overrides, quantization)
    print(show(model, exam, row, adapter=adapter, prompt=prompt, changes=changes))


@app.command(epilog="Example: ./run.sh ask --model data/embedded/models/tiny-l")
def ask(
    model: Annotated[list[str] | None, Option(help="hub id or folder; at most two")] = None,
    adapter: Adapter = None,
    exam: Annotated[Path, Option(help="questions to pick from")] = Path(
        "data/embedded/test.csv"
    ),
    prompt: Prompt = "embedded",
    passages: Passages = None,
    top_k: TopK = 1,
    port: Annotated[int | None, Option(help="default: the first free one from 7860")] = None,
) -> None:
    """Serve a page on this machine: one question, one or two models, all orders of choices."""
    from solution.ask import ask as serve

    models = model or ["data/embedded/models/tiny-m", "data/embedded/models/tiny-l"]
    serve(models, adapter, exam, prompt, port, retrieve=_retrieval(passages, top_k))


def _changes(overrides: list[str] | None, quantization: str | None) -> list[str]:
    return [*(overrides or []), *([f"quantization={quantization}"] if quantization else [])]


def _retrieval(passages: Path | None, top_k: int) -> RetrievalConfig | None:
    from solution.kowiki import RetrievalConfig

    return RetrievalConfig(passages=str(passages), top_k=top_k) if passages else None


@app.command(
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    epilog="Example: ./run.sh harness run --model exam-qa --model_args pretrained=M "
    "--tasks kobest",
)
def harness(context: typer.Context) -> None:
    """Run lm-evaluation-harness with this project's engine as model exam-qa."""
    from solution.scoring import run_harness

    run_harness(context.args)


@app.command(epilog="Example: ./run.sh report runs/explore/embedded")
def report(
    runs: Annotated[list[Path] | None, Argument(help="folders of runs (default: all)")] = None,
    out: Annotated[Path | None, Option(help="file to write (runs/report.html)")] = None,
    memory_limit: Annotated[float, Option(metavar="GIB", help="memory of your card")] = 32.0,
) -> None:
    """Write one HTML page of finished runs."""
    from solution.report import report as write

    print(write(runs or [], out, memory_limit))
