"""The command `finetune`: one training, several stages or several folds."""

from __future__ import annotations

from pathlib import Path

from solution.core import UserError
from solution.exam import load_prompt
from solution.finetune.data import load_data
from solution.finetune.distributed import rank_zero_logging
from solution.finetune.folds import train_folds
from solution.finetune.peft_model import resolve_targets
from solution.finetune.recipe import create_tiny_model, read_recipe
from solution.finetune.single import train_and_score
from solution.finetune.stages import train_stages


@rank_zero_logging()
def finetune(
    recipe: str,
    train: Path | None,
    test: Path | None,
    out: Path | None,
    overrides: list[str],
    *,
    folds: int | None = None,
) -> Path:
    """Train as the recipe says, score its test file and return the finished run folder.

    It has adapter/, predictions.parquet, metrics.json, config.yaml and log.txt. The same
    inputs reuse their finished run; an interrupted run resumes from its newest complete
    checkpoint. With `folds`, see `train_folds`.

    Raises UserError: wrong input, which leaves nothing behind.
    """
    config = create_tiny_model(read_recipe(recipe, train, test, overrides))
    config = resolve_targets(config)
    prompt = load_prompt(config.prompt)
    directory = out or Path("runs") / "finetune" / config.name
    if config.stages:
        if folds is not None:
            raise UserError("--folds: not with a recipe of stages. Use a recipe of one stage.")
        return train_stages(config, prompt, directory)
    data = load_data(config.data)
    if folds is None:
        return train_and_score(config, prompt, data, directory)
    directory = out or directory.with_name(f"{config.name}-{folds}-folds")
    return train_folds(config, prompt, data, directory, folds)
