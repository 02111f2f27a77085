"""One fine-tuning, from a recipe to a finished run folder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from solution.core import (
    Run,
    UserError,
    atomic_write,
    find_run,
    log,
    open_run,
    resolve_path,
    sha256_file,
    write_json,
)
from solution.exam import Prompt, Question, load_prompt
from solution.finetune.card import model_card
from solution.finetune.checkpoints import CHECKPOINTS, FACTS
from solution.finetune.datacard import data_card
from solution.finetune.material import Material, read_material
from solution.finetune.methods import tuned_reference
from solution.finetune.offline import Answers, answer_offline
from solution.finetune.planning import memory_beside_plan, row_length
from solution.finetune.processes import is_main_process, one_voice, wait_until
from solution.finetune.recipe import Recipe, read_recipe
from solution.finetune.retrieval import gate_answers, retrieved, shown, shown_in_training
from solution.finetune.scores import accuracies
from solution.kowiki import build_digest, retrieval_inputs
from solution.models import ModelReference, weights_fingerprint
from solution.scoring import trained, write_predictions, write_trained

BEFORE = f"{CHECKPOINTS}/before.json"
HELD = "held"
WITHOUT_PASSAGES = "predictions-without-passages.parquet"


@one_voice()
def finetune(
    recipe: str,
    train: Path | None,
    test: Path | None,
    out: Path | None,
    overrides: list[str],
    *,
    folds: int | None = None,
) -> Path:
    """Tune a model as the recipe says and answer its test file; return the finished run folder.

    It holds adapter/, predictions.parquet, metrics.json, config.yaml and log.txt.
    The same inputs find their finished run again; an interrupted one goes on from its newest
    whole checkpoint. With `folds`, see `finetune_folds`. Raises UserError for faulty input,
    and then leaves nothing behind. Of several processes the first alone says and writes.
    """
    plan = read_recipe(recipe, train, test, overrides)
    prompt = load_prompt(plan.prompt)
    place = out or Path("runs") / "finetune" / plan.name
    if plan.stages:
        from solution.finetune.staging import tune_stages

        if folds is not None:
            raise UserError("--folds: not with a recipe of stages. Take one stage by itself.")
        return tune_stages(plan, place)
    material = read_material(plan.data)
    if folds is not None:
        from solution.finetune.folds import finetune_folds

        place = out or place.with_name(f"{plan.name}-{folds}-folds")
        return finetune_folds(plan, prompt, material, place, folds)
    return tune(plan, prompt, material, place)


def tune(
    plan: Recipe,
    prompt: Prompt,
    material: Material,
    place: Path,
    part: Mapping[str, Any] | None = None,
) -> Path:
    """One training and its answers in a run folder; `part` says what part of the data it is."""
    inputs = inputs_of(plan, prompt) | dict(part or {})
    if not is_main_process():
        return _train_along(plan, prompt, material, find_run(place, inputs))
    run = open_run(place, inputs)
    if run.finished:
        log(f"{place}: finished before with the same inputs, used again.")
        return place
    try:
        metrics = _work(plan, prompt, material, run)
    except UserError:
        _leave_nothing(run)
        raise
    shutil.rmtree(run.work / CHECKPOINTS, ignore_errors=True)
    run.finalize(metrics)
    return place


def _train_along(plan: Recipe, prompt: Prompt, material: Material, run: Run) -> Path:
    """What every process but the first does: its share of the steps, and no file of the run."""
    before = run.work / BEFORE
    wait_until(lambda: before.is_file() or run.finished)
    if not ((run.work / "adapter").is_dir() or run.finished):
        facts = json.loads(before.read_text(encoding="utf-8"))
        _train(plan, prompt, material, run.work, facts)
    wait_until(lambda: run.finished)
    return run.directory


def inputs_of(plan: Recipe, prompt: Prompt) -> dict[str, Any]:
    """Everything that decides the result; files by their content."""
    data = plan.data
    files = {key: getattr(data, key) for key in ("train", "test", "solution")}
    found = {key: str(resolve_path(path)) if path else None for key, path in files.items()}
    digests = {key: sha256_file(resolve_path(path)) for key, path in files.items() if path}
    kowiki = data.kowiki
    if kowiki and kowiki.questions:
        digests["kowiki.questions"] = sha256_file(resolve_path(kowiki.questions))
    if kowiki and kowiki.passages:
        digests["kowiki.passages"] = build_digest(resolve_path(kowiki.passages))
    retrieve = retrieval_inputs(plan.retrieve) if plan.retrieve else {}
    digests |= {f"retrieve.{key}": digest for key, digest in retrieve.items()}
    for number, told in enumerate(data.instructions):
        if resolve_path(told.source).is_file():
            digests[f"instructions.{number}"] = sha256_file(resolve_path(told.source))
    return {
        "command": "finetune",
        "recipe": plan.model_dump(mode="json", exclude={"report_to"}),
        "data": {**found, "sha256": digests},
        "prompt": prompt.model_dump(mode="json"),
        "weights": weights_fingerprint(plan.begins_as),
    }


def _work(plan: Recipe, prompt: Prompt, material: Material, run: Run) -> dict[str, Any]:
    """Score the base model, train, score the adapter; no finished stage is done again."""
    before = _before(plan, prompt, material, run.work)
    adapter = run.work / "adapter"
    if not adapter.is_dir():
        _train(plan, prompt, material, run.work, before)
    rows = trained([*material.train, *material.wiki.questions])
    write_trained(adapter, rows)
    tuned = tuned_reference(plan, adapter)
    exams: dict[str, Sequence[Question]] = {
        "validation": material.validation,
        "test": material.test.questions,
    }
    exams |= {HELD: material.held} if material.held else {}
    contexts = retrieved(plan.retrieve, material, prompt)
    plain = answer(plan, tuned, prompt, exams | shown(contexts))
    answers, retrieval = gate_answers(contexts, plain, material, run.work)
    made_by = {
        "recipe": plan.name,
        "model": plan.model.model,
        "run": run.fingerprint,
        "trained_on": rows,
    }
    if retrieval:
        write_predictions(run.work / WITHOUT_PASSAGES, plain.scored["test"], made_by)
    write_predictions(run.work / "predictions.parquet", answers.scored["test"], made_by)
    if material.held:
        write_predictions(run.work / f"{HELD}.parquet", plain.scored[HELD], made_by)
    training = json.loads((adapter / FACTS).read_text(encoding="utf-8"))
    metrics = {
        "recipe": plan.name,
        "model": plan.model.model,
        "dtype": answers.dtype,
        "max_length": answers.max_length,
        "data": {
            "train_questions": len(material.train),
            "validation_questions": len(material.validation),
            "test_questions": len(material.test),
            "left_out_for_test": material.left_out,
            "instructions": len(material.instructions.rows),
            "kowiki_questions": len(material.wiki.questions),
            "kowiki_passages": len(material.wiki.passages),
            "kowiki_left_out_for_test": material.wiki.left_out,
            "card": data_card(material, training),
        },
        "before": before["accuracy"],
        "after": accuracies(answers, material),
        "retrieval": retrieval,
        "scoring": answers.counts,
        "seconds_per_answer": _seconds_an_answer(answers, material),
        "training": training,
        "memory": memory_beside_plan(plan, before, training),
    }
    with atomic_write(adapter / "README.md") as card:
        card.write_text(model_card(plan, metrics), encoding="utf-8")
    return metrics


def _train(
    plan: Recipe, prompt: Prompt, material: Material, work: Path, before: Mapping[str, Any]
) -> None:
    from solution.finetune.train import train_adapter

    shape = {"max_length": before["row_length"], "dtype": before["dtype"]}
    shown_too = shown_in_training(plan.retrieve, material, prompt)
    train_adapter(plan, material, prompt, work, shown=shown_too, **shape)


def _before(plan: Recipe, prompt: Prompt, material: Material, work: Path) -> dict[str, Any]:
    """What the base model scores (on the test where its key is known) and how it was loaded."""
    path = work / BEFORE
    if not path.is_file():
        exams: dict[str, Sequence[Question]] = {"validation": material.validation}
        if material.key_known:
            exams["test"] = material.test.questions
        answers = answer(plan, plan.begins_as, prompt, exams)
        accuracy = accuracies(answers, material)
        shape = {"max_length": answers.max_length, "dtype": answers.dtype}
        shape["row_length"] = row_length(plan, answers.max_length, answers.dtype)
        write_json(path, {**shape, "accuracy": accuracy})
    return dict(json.loads(path.read_text(encoding="utf-8")))


def _seconds_an_answer(answers: Answers, material: Material) -> float:
    """Seconds the tuned model took for one question of the test, loading left out."""
    return round(float(answers.counts["test"]["seconds"]) / len(material.test), 4)


def answer(
    plan: Recipe, model: ModelReference, prompt: Prompt, exams: Mapping[str, Sequence[Question]]
) -> Answers:
    """Answer exams with the base model or an adapter, in a process of its own."""
    log(f"{'Before' if model == plan.begins_as else 'After'} tuning, {model.model}:")
    return answer_offline(model, prompt, exams, plan.train.evaluation_batch_tokens)


def _leave_nothing(run: Run) -> None:
    """Take away the folders of a run that could not begin; one that has checkpoints stays."""
    if any(run.work.glob(f"{CHECKPOINTS}/checkpoint-*")) or (run.work / "adapter").exists():
        return
    shutil.rmtree(run.work, ignore_errors=True)
    for folder in list(run.work.parents)[:2]:
        with suppress(OSError):  # other runs are in it
            folder.rmdir()
