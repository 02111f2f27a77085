"""A recipe of several stages: one training after the other, each a run of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from solution.core import UserError, deep_merge, log
from solution.exam import load_prompt
from solution.finetune.material import read_material
from solution.finetune.recipe import Recipe
from solution.finetune.run import tune


def tune_stages(plan: Recipe, place: Path) -> Path:
    """Train every stage from the adapter of the one before; return the last one's run.

    The last stage lands in `place`, the earlier ones beside it; finished ones are used again.
    Raises UserError naming the stage whose keys are faulty, before anything is trained.
    """
    plans = [stage_recipe(plan, number) for number in range(len(plan.stages))]
    prompt, start = load_prompt(plan.prompt), plan.start
    run = place
    for number, stage in enumerate(plans):
        log(f"Stage {number + 1} of {len(plans)}: {plan.stages[number].name}")
        last = number == len(plans) - 1
        name = f"{place.name}-{number + 1}-{plan.stages[number].name}"
        here = stage.model_copy(update={"start": start})
        run = tune(
            here, prompt, read_material(here.data), place if last else place.with_name(name)
        )
        start = str(run / "adapter")
    return run


def stage_recipe(plan: Recipe, number: int) -> Recipe:
    """The whole recipe of one stage, less where it starts.

    Raises UserError where its keys are unknown or don't fit.
    """
    stage = plan.stages[number]
    own = plan.model_dump(mode="json", exclude={"stages"}, exclude_unset=True)
    changes: dict[str, Any] = {"data": stage.data, "train": stage.train}
    if stage.retrieve is not None:
        changes["retrieve"] = stage.retrieve
    try:
        return Recipe.model_validate(deep_merge(own, changes))
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(str(part) for part in fault["loc"])
        raise UserError(
            f"{plan.name}, stage {stage.name}: {where}: {fault['msg']}. Mend its keys."
        ) from error
