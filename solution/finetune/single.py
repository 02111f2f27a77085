"""One training in a run folder: score the base model, train, score the adapter.

Each of the three is a process of its own, so no weights stay in memory between them; this
process never loads a model.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from solution.core import (
    Run,
    UserError,
    atomic_write,
    exclusive_lock,
    find_run,
    log,
    open_run,
    resolve_config,
    resolve_path,
    sha256_path,
    write_json,
)
from solution.exam import Prompt, Question
from solution.finetune.checkpoints import CHECKPOINTS, TRAINING_FACTS
from solution.finetune.data import FinetuneData
from solution.finetune.distributed import is_main_process, wait_until
from solution.finetune.evaluate import (
    EvalResult,
    Plan,
    accuracies,
    evaluate_in_subprocess,
    warnings,
)
from solution.finetune.memory import plan_training
from solution.finetune.model_card import data_card, model_card
from solution.finetune.peft_model import tuned_reference
from solution.finetune.recipe import Recipe
from solution.finetune.retrieval import (
    RETRIEVED,
    combine_scores,
    exams_with_passages,
    retrieve,
    training_passages,
    write_retrieved,
)
from solution.finetune.train import train_in_process
from solution.finetune.worker_process import run_in_process
from solution.kowiki import build_digest, retrieval_inputs
from solution.models import ModelReference, weights_fingerprint
from solution.scoring import trained, write_predictions, write_trained

BEFORE = "before.json"
HOLDOUT = "held"
LOCK = ".lock"
WITHOUT_PASSAGES = "predictions-without-passages.parquet"


def train_and_score(
    recipe: Recipe,
    prompt: Prompt,
    data: FinetuneData,
    directory: Path,
    identity: Mapping[str, Any] | None = None,
) -> Path:
    """Run one training and its scorings; return the finished run folder.

    `identity` distinguishes trainings on parts of the data. A run of the same inputs is reused
    if it is finished and resumed if it is not.

    Raises UserError: wrong input, or another process is working on the same run.
    """
    inputs = run_inputs(recipe, prompt) | dict(identity or {})
    if not is_main_process():
        return _join_training(recipe, prompt, data, find_run(directory, inputs))
    run = open_run(directory, inputs)
    if run.finished:
        log(f"{directory}: reusing the finished run of the same inputs.")
        return directory
    with lock_run(run):
        if run.finished:  # by another process, since the check above
            shutil.rmtree(run.work)
            return directory
        try:
            metrics = _work(recipe, prompt, data, run)
        except UserError:
            _remove_if_empty(run)
            raise
        shutil.rmtree(run.work / CHECKPOINTS, ignore_errors=True)
        (run.work / LOCK).unlink()
        run.finalize(metrics)
    return directory


def lock_run(run: Run) -> Any:
    """Return a context that holds the work folder of a run against other processes."""
    return exclusive_lock(
        run.work / LOCK,
        f"{run.directory}: another finetune of the same inputs is running. Wait for it, then "
        "run the same command to reuse its result, or set another --out.",
    )


def run_inputs(recipe: Recipe, prompt: Prompt) -> dict[str, Any]:
    """Return everything that determines the result; files by their hashes."""
    data = recipe.data
    files = {key: getattr(data, key) for key in ("train", "test", "solution")}
    paths = {key: str(resolve_path(path)) if path else None for key, path in files.items()}
    if data.kowiki:
        files["kowiki.questions"] = data.kowiki.questions
    for number, instructions in enumerate(data.instructions):
        if resolve_path(instructions.source).exists():
            files[f"instructions.{number}"] = instructions.source
        template = str(resolve_config("templates", instructions.template))
        files[f"instructions.{number}.template"] = template
    digests = {key: sha256_path(resolve_path(path)) for key, path in files.items() if path}
    if data.kowiki and data.kowiki.passages:
        digests["kowiki.passages"] = build_digest(resolve_path(data.kowiki.passages))
    if recipe.retrieve:
        found = retrieval_inputs(recipe.retrieve)
        digests |= {f"retrieve.{key}": digest for key, digest in found.items()}
    return {
        "command": "finetune",
        "recipe": recipe.model_dump(mode="json", exclude={"report_to"}),
        "data": {**paths, "sha256": digests},
        "prompt": prompt.model_dump(mode="json"),
        "weights": weights_fingerprint(recipe.initial_model),
    }


def score_model_of(
    recipe: Recipe,
    model: ModelReference,
    prompt: Prompt,
    exams: Mapping[str, Sequence[Question]],
    plan: Plan | None = None,
) -> EvalResult:
    """Score exams with the base model or an adapter, in a process of its own."""
    when = "Before" if model == recipe.initial_model else "After"
    log(f"{when} tuning, {model.model}:")
    return evaluate_in_subprocess(model, prompt, exams, recipe.train.eval_batch_tokens, plan)


def _join_training(recipe: Recipe, prompt: Prompt, data: FinetuneData, run: Run) -> Path:
    """Train along on a rank other than 0, without writing any file of the run."""
    before = run.work / CHECKPOINTS / BEFORE
    wait_until(lambda: before.is_file() or run.finished)
    if not ((run.work / "adapter").is_dir() or run.finished):
        facts = json.loads(before.read_text(encoding="utf-8"))
        _train(recipe, prompt, data, run, facts)
    wait_until(lambda: run.finished)
    return run.directory


def _work(recipe: Recipe, prompt: Prompt, data: FinetuneData, run: Run) -> dict[str, Any]:
    """Score, train and score; steps that an interrupted run finished are skipped."""
    before = _score_before(recipe, prompt, data, run.work)
    adapter = run.work / "adapter"
    if not adapter.is_dir():
        _train(recipe, prompt, data, run, before)
    training = json.loads((adapter / TRAINING_FACTS).read_text(encoding="utf-8"))
    scores = _score_after(recipe, prompt, data, run)
    test_counts = scores["scoring"]["test"]
    metrics = {
        "recipe": recipe.name,
        "model": recipe.model.model,
        "data": {
            "train_questions": len(data.train),
            "validation_questions": len(data.validation),
            "test_questions": len(data.test),
            "left_out_for_test": data.removed_overlaps,
            "instructions": len(data.instructions.rows),
            "kowiki_questions": len(data.wiki.questions),
            "kowiki_passages": len(data.wiki.passages),
            "kowiki_left_out_for_test": data.wiki.removed_overlaps,
            "card": data_card(data, training),
        },
        "before": before["accuracy"],
        **scores,
        "seconds_per_answer": round(float(test_counts["seconds"]) / len(data.test), 4),
        "training": training,
        "memory": {
            **{key: before[key] for key in ("device", "row_length", "planned_gib")},
            "measured_gib": training["peak_memory_gib"],
        },
    }
    with atomic_write(adapter / "README.md") as card:
        card.write_text(model_card(recipe, metrics), encoding="utf-8")
    return metrics


def _score_before(
    recipe: Recipe, prompt: Prompt, data: FinetuneData, work: Path
) -> dict[str, Any]:
    """Return the base model's accuracy and how it was loaded; the test only with a key."""
    path = work / CHECKPOINTS / BEFORE
    if not path.is_file():
        exams: dict[str, Sequence[Question]] = {"validation": data.validation}
        if data.test_has_answers:
            exams["test"] = data.test.questions
        plan = partial(plan_training, recipe)
        result = score_model_of(recipe, recipe.initial_model, prompt, exams, plan)
        facts = result.plan | {
            "dtype": result.dtype,
            "accuracy": accuracies(result.scored, data),
        }
        write_json(path, facts)
    return dict(json.loads(path.read_text(encoding="utf-8")))


def _train(
    recipe: Recipe, prompt: Prompt, data: FinetuneData, run: Run, before: Mapping[str, Any]
) -> None:
    run_in_process(
        train_in_process,
        run.work,
        int(run.fingerprint[:8], 16),
        {
            "recipe": recipe,
            "data": data,
            "prompt": prompt,
            "max_length": before["row_length"],
            "dtype": before["dtype"],
            "with_passages": training_passages(recipe.retrieve, data, prompt),
        },
        killed="training was killed, probably out of memory. Free some memory, or lower "
        "train.batch_size; the same command resumes from the last checkpoint.",
    )


def _score_after(
    recipe: Recipe, prompt: Prompt, data: FinetuneData, run: Run
) -> dict[str, Any]:
    """Score the adapter, write the predictions and return their metrics."""
    rows = trained([*data.train, *data.wiki.questions])
    adapter = run.work / "adapter"
    write_trained(adapter, rows)
    exams: dict[str, Sequence[Question]] = {
        "validation": data.validation,
        "test": data.test.questions,
    }
    exams |= {HOLDOUT: data.holdout} if data.holdout else {}
    retrieved = retrieve(recipe.retrieve, data, prompt)
    exams |= exams_with_passages(retrieved)
    result = score_model_of(recipe, tuned_reference(recipe, adapter), prompt, exams)
    scored, retrieval = combine_scores(retrieved, result.scored, data)
    produced_by = {
        "recipe": recipe.name,
        "model": recipe.model.model,
        "run": run.fingerprint,
        "trained_on": rows,
    }
    if retrieved:
        write_retrieved(run.work / RETRIEVED, retrieved["test"])
        write_predictions(run.work / WITHOUT_PASSAGES, result.scored["test"], produced_by)
    write_predictions(run.work / "predictions.parquet", scored["test"], produced_by)
    if data.holdout:
        write_predictions(run.work / f"{HOLDOUT}.parquet", scored[HOLDOUT], produced_by)
    return {
        "dtype": result.dtype,
        "max_length": result.max_length,
        "after": accuracies(scored, data),
        "warnings": [
            *warnings("validation", scored["validation"], data.validation),
            *warnings("test", scored["test"], data.test.questions),
        ],
        "retrieval": retrieval,
        "scoring": result.counts,
    }


def _remove_if_empty(run: Run) -> None:
    """Delete the folders of a run that has no checkpoint and no adapter."""
    if any(run.work.glob(f"{CHECKPOINTS}/checkpoint-*")) or (run.work / "adapter").exists():
        return
    shutil.rmtree(run.work, ignore_errors=True)
    for folder in list(run.work.parents)[:2]:
        with suppress(OSError):  # not empty
            folder.rmdir()
