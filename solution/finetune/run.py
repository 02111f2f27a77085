"""One fine-tuning, from a recipe to a finished run folder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from solution.base import (
    Run,
    UserError,
    atomic_write,
    find,
    note,
    open_run,
    sha256_file,
    write_json,
)
from solution.exam import Prompt, Question, load_prompt
from solution.finetune.card import model_card
from solution.finetune.checkpoints import CHECKPOINTS, FACTS
from solution.finetune.data import Material, read_material
from solution.finetune.offline import Answers, answer_offline
from solution.finetune.processes import is_first_process, wait_for
from solution.finetune.recipe import Recipe, read_recipe
from solution.finetune.retrieval import gate_answers, retrieved, shown
from solution.finetune.scores import accuracies
from solution.kowiki import retrieval_inputs
from solution.models import ModelReference, weights_fingerprint
from solution.scoring import write_predictions


def finetune(
    recipe: str, train: Path | None, test: Path | None, out: Path | None, overrides: list[str]
) -> Path:
    """Tune a model as the recipe says and answer its test file; return the finished run folder.

    It holds adapter/, predictions.parquet, metrics.json, config.yaml and log.txt.
    The same inputs find their finished run again; an interrupted one goes on from its newest
    whole checkpoint. Raises UserError for faulty input, and then leaves nothing behind.
    """
    plan = read_recipe(recipe, train, test, overrides)
    prompt = load_prompt(plan.prompt)
    material = read_material(plan.data)
    place = out or Path("runs") / "finetune" / plan.name
    run = open_run(place, _inputs(plan, prompt))
    if run.finished:
        note(f"{place}: finished before with the same inputs, used again.")
        return place
    try:
        metrics = _work(plan, prompt, material, run)
    except UserError:
        _leave_nothing(run)
        raise
    shutil.rmtree(run.work / CHECKPOINTS, ignore_errors=True)
    run.publish(metrics)
    return place


def _inputs(plan: Recipe, prompt: Prompt) -> dict[str, Any]:
    """Everything that decides the result; files by their content."""
    data = plan.data
    files = {key: getattr(data, key) for key in ("train", "test", "solution")}
    found = {key: str(find(path)) if path else None for key, path in files.items()}
    digests = {key: sha256_file(find(path)) for key, path in files.items() if path}
    kowiki = data.kowiki
    if kowiki and kowiki.questions:
        digests["kowiki.questions"] = sha256_file(find(kowiki.questions))
    if kowiki and kowiki.passages:
        digests["kowiki.passages"] = sha256_file(find(kowiki.passages) / "manifest.json")
    retrieve = retrieval_inputs(plan.retrieve) if plan.retrieve else {}
    digests |= {f"retrieve.{key}": digest for key, digest in retrieve.items()}
    return {
        "command": "finetune",
        "recipe": plan.model_dump(mode="json"),
        "data": {**found, "sha256": digests},
        "prompt": prompt.model_dump(mode="json"),
        "weights": weights_fingerprint(plan.model),
    }


def _work(plan: Recipe, prompt: Prompt, material: Material, run: Run) -> dict[str, Any]:
    """Score the base model, train, score the adapter; no finished stage is done again."""
    before = _before(plan, prompt, material, run.work)
    adapter = run.work / "adapter"
    if not adapter.is_dir():
        from solution.finetune.train import train_adapter

        shape = {key: before[key] for key in ("max_length", "dtype")}
        train_adapter(plan, material, prompt, run.work, **shape)
    tuned = plan.model.model_copy(update={"adapter": str(adapter)})
    exams: dict[str, Sequence[Question]] = {
        "validation": material.validation,
        "test": material.test.questions,
    }
    contexts = retrieved(plan.retrieve, material, prompt)
    answers, retrieval = gate_answers(
        contexts, _answer(plan, tuned, prompt, exams | shown(contexts)), material, run.work
    )
    made_by = {"recipe": plan.name, "model": plan.model.model, "run": run.fingerprint}
    write_predictions(run.work / "predictions.parquet", answers.scored["test"], made_by)
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
            "kowiki_questions": len(material.wiki.questions),
            "kowiki_passages": len(material.wiki.passages),
            "kowiki_left_out_for_test": material.wiki.left_out,
        },
        "before": before["accuracy"],
        "after": accuracies(answers, material),
        "retrieval": retrieval,
        "scoring": answers.counts,
        "training": json.loads((adapter / FACTS).read_text(encoding="utf-8")),
    }
    with atomic_write(adapter / "README.md") as card:
        card.write_text(model_card(plan, metrics), encoding="utf-8")
    return metrics


def _before(plan: Recipe, prompt: Prompt, material: Material, work: Path) -> dict[str, Any]:
    """What the base model scores (on the test where its key is known) and how it was loaded."""
    path = work / CHECKPOINTS / "before.json"
    if not is_first_process():
        wait_for(path)
    if not path.is_file():
        exams: dict[str, Sequence[Question]] = {"validation": material.validation}
        if material.key_known:
            exams["test"] = material.test.questions
        answers = _answer(plan, plan.model, prompt, exams)
        accuracy = accuracies(answers, material)
        shape = {"max_length": answers.max_length, "dtype": answers.dtype}
        write_json(path, {**shape, "accuracy": accuracy})
    return dict(json.loads(path.read_text(encoding="utf-8")))


def _answer(
    plan: Recipe, model: ModelReference, prompt: Prompt, exams: Mapping[str, Sequence[Question]]
) -> Answers:
    note(f"{'After' if model.adapter else 'Before'} tuning, {model.model}:")
    return answer_offline(model, prompt, exams, plan.train.evaluation_batch_tokens)


def _leave_nothing(run: Run) -> None:
    """Take away the folders of a run that could not begin; one that has checkpoints stays."""
    if any(run.work.glob(f"{CHECKPOINTS}/checkpoint-*")) or (run.work / "adapter").exists():
        return
    shutil.rmtree(run.work, ignore_errors=True)
    for folder in list(run.work.parents)[:2]:
        with suppress(OSError):  # other runs are in it
            folder.rmdir()
