"""A recipe of several stages: consecutive trainings, each a run of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from solution.core import deep_merge, log, validate_config
from solution.exam import Prompt
from solution.finetune.data import load_data
from solution.finetune.recipe import Recipe
from solution.finetune.single import train_and_score


def train_stages(recipe: Recipe, prompt: Prompt, directory: Path) -> Path:
    """Train each stage from the adapter of the previous one; return the last run.

    The last stage is written to `directory`, the earlier ones next to it.

    Raises UserError: names the stage with a wrong key, before any training.
    """
    stages = [stage_recipe(recipe, number) for number in range(len(recipe.stages))]
    adapter, run = recipe.adapter_init, directory
    for number, stage in enumerate(stages):
        name = recipe.stages[number].name
        log(f"Stage {number + 1} of {len(stages)}: {name}.")
        last = number == len(stages) - 1
        place = (
            directory if last else directory.with_name(f"{directory.name}-{number + 1}-{name}")
        )
        config = stage.model_copy(update={"adapter_init": adapter})
        run = train_and_score(config, prompt, load_data(config.data), place)
        adapter = str(run / "adapter")
    return run


def stage_recipe(recipe: Recipe, number: int) -> Recipe:
    """Return the recipe of one stage, without its `adapter_init`."""
    stage = recipe.stages[number]
    base = recipe.model_dump(mode="json", exclude={"stages"}, exclude_unset=True)
    changes: dict[str, Any] = {"data": stage.data, "train": stage.train}
    if stage.retrieve is not None:
        changes["retrieve"] = stage.retrieve
    merged = deep_merge(base, changes)
    return validate_config(merged, Recipe, f"{recipe.name}, stage {stage.name}")
