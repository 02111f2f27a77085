"""K adapters, each tuned on all but one fold: every training row answered from outside."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from solution.core import atomic_directory, find_run, log, open_run
from solution.exam import Prompt, Question, split_folds, split_validation
from solution.finetune.material import Material
from solution.finetune.offline import Answers
from solution.finetune.processes import is_main_process, wait_until
from solution.finetune.recipe import Recipe
from solution.finetune.run import HELD, answer, inputs_of, tune
from solution.finetune.scores import accuracies
from solution.scoring import (
    ChoiceScores,
    average_predictions,
    read_predictions,
    trained,
    write_predictions,
    write_trained,
)


def finetune_folds(
    plan: Recipe, prompt: Prompt, material: Material, place: Path, folds: int
) -> Path:
    """Tune `folds` adapters and return the finished folder of all of them.

    It holds a whole run a fold (fold-0, ...); oof.parquet: each training row as answered by
    the one adapter that was not trained on it; predictions.parquet: the test as answered by
    all, averaged; adapter/: the mean of the adapters, and in metrics.json how
    far its answers are those of the average. Finished folds are not tuned again.
    """
    if plan.retrieve:
        log("Folds answer without retrieved passages: the recipe's retrieve is left out.")
        plan = plan.model_copy(update={"retrieve": None})
    pool = [*material.train, *material.validation]
    numbers = split_folds(pool, folds, plan.data.seed)
    first = is_main_process()
    run = (open_run if first else find_run)(place, inputs_of(plan, prompt) | {"folds": folds})
    if run.finished:
        log(f"{place}: finished before with the same inputs, used again.")
        return place
    for fold in range(folds):
        part = fold_material(plan, material, pool, [number == fold for number in numbers])
        log(f"Fold {fold + 1} of {folds}: {len(part.train)} train, {len(part.held)} held.")
        tune(plan, prompt, part, run.work / f"fold-{fold}", {"fold": [fold, folds]})
    if not first:
        wait_until(lambda: run.finished)
        return place
    places = [run.work / f"fold-{fold}" for fold in range(folds)]
    made_by = {"recipe": plan.name, "model": plan.model.model, "run": run.fingerprint}
    rows = trained(material.wiki.questions)
    in_folds = [row._replace(fold=f) for row, f in zip(trained(pool), numbers, strict=True)]
    by_id = {s.id: s for p in places for s in read_predictions(p / f"{HELD}.parquet")}
    held = [by_id[question.id] for question in pool]
    made = made_by | {"trained_on": [*rows, *in_folds]}
    write_predictions(run.work / "oof.parquet", held, made)
    tables = [read_predictions(p / "predictions.parquet") for p in places]
    mixed = average_predictions(tables, [1 / folds] * folds)
    made = made_by | {"trained_on": [*rows, *trained(pool)]}
    write_predictions(run.work / "predictions.parquet", mixed, made)
    adapter = run.work / "adapter"
    merge_adapters([p / "adapter" for p in places], adapter)
    write_trained(adapter, [*rows, *trained(pool)])
    tuned = plan.model.model_copy(update={"adapter": str(adapter)})
    log("The mean of the folds' adapters:")
    merged = answer(plan, tuned, prompt, {"test": material.test.questions}).scored["test"]
    right = sum(s.answer == q.answer for s, q in zip(held, pool, strict=True))
    run.finalize({"out_of_fold": right / len(pool)} | _metrics(material, places, mixed, merged))
    return place


def fold_material(
    plan: Recipe, material: Material, pool: Sequence[Question], held: Sequence[bool]
) -> Material:
    """What one fold's adapter may see; it chooses its step on questions of the other folds."""
    rest = [question for question, out in zip(pool, held, strict=True) if not out]
    kept, checked = list(range(len(rest))), list[int]()
    if plan.data.validation_fraction:
        kept, checked = split_validation(rest, plan.data.validation_fraction, plan.data.seed)
    return replace(
        material,
        train=tuple(rest[i] for i in kept),
        validation=tuple(rest[i] for i in checked),
        held=tuple(question for question, out in zip(pool, held, strict=True) if out),
    )


def merge_adapters(adapters: Sequence[Path], place: Path) -> None:
    """Write the exact mean of LoRA adapters of one shape as one of K times the rank.

    The mean of the products B·A is one product: the As above one another, the Bs beside one
    another and divided by K (PEFT's `add_weighted_adapter` calls it "cat").
    """
    import torch
    from safetensors.torch import load_file, save_file

    number = len(adapters)
    tensors = [load_file(adapter / "adapter_model.safetensors") for adapter in adapters]
    merged = {}
    for name in tensors[0]:
        parts = [tensor[name] for tensor in tensors]
        down = ".lora_A." in name
        joined = torch.cat(parts, dim=0 if down else 1)
        merged[name] = joined if down else joined / number
    config = json.loads((adapters[0] / "adapter_config.json").read_text(encoding="utf-8"))
    # The scale, alpha/r or alpha/sqrt(r), stays what it was.
    config["lora_alpha"] *= math.sqrt(number) if config.get("use_rslora") else number
    config["r"] *= number
    with atomic_directory(place) as work:
        save_file(merged, work / "adapter_model.safetensors", {"format": "pt"})
        text = json.dumps(config, ensure_ascii=False, indent=2)
        (work / "adapter_config.json").write_text(text + "\n", encoding="utf-8")


def _metrics(
    material: Material,
    places: Sequence[Path],
    mixed: list[ChoiceScores],
    merged: list[ChoiceScores],
) -> dict[str, Any]:
    """Accuracy in every fold, of the average and of the merged adapter."""
    own = [json.loads((p / "metrics.json").read_text(encoding="utf-8")) for p in places]
    alone = replace(material, validation=())

    def test(scored: list[ChoiceScores]) -> dict[str, Any]:
        return accuracies(Answers({"test": scored}, {}, 0, ""), alone)

    same = sum(a.answer == b.answer for a, b in zip(mixed, merged, strict=True))
    return {
        "before": {**own[0]["before"], "validation": None},
        "after": test(mixed),
        "folds": [one["after"] for one in own],
        "merged_adapter": test(merged) | {"same_answer_as_average": same / len(mixed)},
    }
