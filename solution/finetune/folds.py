"""K adapters, each trained on all but one fold: out-of-fold predictions of every question."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from solution.core import Run, atomic_directory, find_run, log, open_run, write_json
from solution.exam import Prompt, Question, split_folds, split_validation
from solution.finetune.data import FinetuneData
from solution.finetune.distributed import is_main_process, wait_until
from solution.finetune.evaluate import accuracies
from solution.finetune.peft_model import CONFIG, WEIGHTS
from solution.finetune.recipe import Recipe
from solution.finetune.single import (
    HOLDOUT,
    LOCK,
    lock_run,
    run_inputs,
    score_model_of,
    train_and_score,
)
from solution.finetune.worker_process import run_in_process
from solution.scoring import (
    ChoiceScores,
    average_predictions,
    read_predictions,
    trained,
    write_predictions,
    write_trained,
)


def train_folds(
    recipe: Recipe, prompt: Prompt, data: FinetuneData, directory: Path, folds: int
) -> Path:
    """Train `folds` adapters and return the finished folder of all of them.

    It has a run per fold (fold-0, ...); oof.parquet: each training question as scored by the
    adapter that was not trained on it; predictions.parquet: the test, averaged over all
    adapters; adapter/: the mean of the adapters. Finished folds are reused.
    """
    if recipe.retrieve:
        log("Folds are scored without retrieved passages: ignoring the key retrieve.")
        recipe = recipe.model_copy(update={"retrieve": None})
    pool = [*data.train, *data.validation]
    numbers = split_folds(pool, folds, recipe.data.seed)
    inputs = run_inputs(recipe, prompt) | {"folds": folds}
    run = (open_run if is_main_process() else find_run)(directory, inputs)
    if run.finished:
        log(f"{directory}: reusing the finished run of the same inputs.")
        return directory
    if not is_main_process():
        _train_each(recipe, prompt, data, run, numbers)
        wait_until(lambda: run.finished)
        return directory
    with lock_run(run):
        runs = _train_each(recipe, prompt, data, run, numbers)
        metrics = _combine(recipe, prompt, data, run, numbers=numbers, runs=runs)
        (run.work / LOCK).unlink()
        run.finalize(metrics)
    return directory


def fold_data(
    recipe: Recipe, data: FinetuneData, pool: Sequence[Question], holdout: Sequence[bool]
) -> FinetuneData:
    """Return the data of one fold; its validation questions come from the other folds."""
    pairs = list(zip(pool, holdout, strict=True))
    rest = [question for question, held in pairs if not held]
    kept, validation = list(range(len(rest))), list[int]()
    if recipe.data.validation_fraction:
        fraction = recipe.data.validation_fraction
        kept, validation = split_validation(rest, fraction, recipe.data.seed)
    return replace(
        data,
        train=tuple(rest[i] for i in kept),
        validation=tuple(rest[i] for i in validation),
        holdout=tuple(question for question, held in pairs if held),
    )


def merge_adapters(adapters: Sequence[Path], folder: Path) -> None:
    """Write the exact mean of K LoRA adapters of one shape as one of K times the rank.

    The mean of the products B·A is one product: concatenate the As along the rank, and the Bs
    divided by K (PEFT's `add_weighted_adapter` calls it "cat").
    """
    import torch
    from safetensors.torch import load_file, save_file

    count = len(adapters)
    tensors = [load_file(adapter / WEIGHTS) for adapter in adapters]
    merged = {}
    for name in tensors[0]:
        parts = [tensor[name] for tensor in tensors]
        is_a = ".lora_A." in name
        joined = torch.cat(parts, dim=0 if is_a else 1)
        merged[name] = joined if is_a else joined / count
    config = json.loads((adapters[0] / CONFIG).read_text(encoding="utf-8"))
    # Keeps the scale, alpha/r or alpha/sqrt(r).
    config["lora_alpha"] *= math.sqrt(count) if config.get("use_rslora") else count
    config["r"] *= count
    with atomic_directory(folder) as work:
        save_file(merged, work / WEIGHTS, {"format": "pt"})
        write_json(work / CONFIG, config)


def _train_each(
    recipe: Recipe,
    prompt: Prompt,
    data: FinetuneData,
    run: Run,
    numbers: Sequence[int],
) -> list[Path]:
    pool = [*data.train, *data.validation]
    runs, folds = [], max(numbers) + 1
    for fold in range(folds):
        part = fold_data(recipe, data, pool, [number == fold for number in numbers])
        log(f"Fold {fold + 1} of {folds}: {len(part.train)} train, {len(part.holdout)} held.")
        place = run.work / f"fold-{fold}"
        runs.append(train_and_score(recipe, prompt, part, place, {"fold": [fold, folds]}))
    return runs


def _combine(
    recipe: Recipe,
    prompt: Prompt,
    data: FinetuneData,
    run: Run,
    *,
    numbers: Sequence[int],
    runs: Sequence[Path],
) -> dict[str, Any]:
    """Write predictions and the mean adapter, score it, and return the metrics."""
    pool = [*data.train, *data.validation]
    produced_by = {"recipe": recipe.name, "model": recipe.model.model, "run": run.fingerprint}
    wiki, rows = trained(data.wiki.questions), trained(pool)
    in_folds = [row._replace(fold=fold) for row, fold in zip(rows, numbers, strict=True)]
    by_id = {s.id: s for one in runs for s in read_predictions(one / f"{HOLDOUT}.parquet")}
    held = [by_id[question.id] for question in pool]
    oof = produced_by | {"trained_on": [*wiki, *in_folds]}
    write_predictions(run.work / "oof.parquet", held, oof)
    tables = [read_predictions(one / "predictions.parquet") for one in runs]
    mean = average_predictions(tables, [1 / len(runs)] * len(runs))
    everything = produced_by | {"trained_on": [*wiki, *rows]}
    write_predictions(run.work / "predictions.parquet", mean, everything)
    adapter = run.work / "adapter"
    adapters = [one / "adapter" for one in runs]
    killed = "merging the adapters was killed, probably out of memory."
    run_in_process(merge_adapters, adapters, adapter, killed=killed)
    write_trained(adapter, [*wiki, *rows])
    log("The mean of the folds' adapters:")
    reference = recipe.model.model_copy(update={"adapter": str(adapter)})
    exams = {"test": data.test.questions}
    merged = score_model_of(recipe, reference, prompt, exams).scored["test"]
    correct = sum(s.answer == q.answer for s, q in zip(held, pool, strict=True))
    return {"out_of_fold": correct / len(pool)} | _fold_metrics(data, runs, mean, merged)


def _fold_metrics(
    data: FinetuneData,
    runs: Sequence[Path],
    mean: list[ChoiceScores],
    merged: list[ChoiceScores],
) -> dict[str, Any]:
    metrics = [json.loads((run / "metrics.json").read_text(encoding="utf-8")) for run in runs]
    test_only = replace(data, validation=())
    same = sum(a.answer == b.answer for a, b in zip(mean, merged, strict=True)) / len(mean)
    return {
        "before": {**metrics[0]["before"], "validation": None},
        "after": accuracies({"test": mean}, test_only),
        "folds": [one["after"] for one in metrics],
        "merged_adapter": accuracies({"test": merged}, test_only)
        | {"same_answer_as_average": same},
    }
