"""From a recipe to an adapter: data, training by Unsloth and TRL, resuming, scoring."""

from solution.finetune.recipe import Recipe, read_recipe
from solution.finetune.run import finetune
from solution.finetune.scores import gains

__all__ = ["Recipe", "finetune", "gains", "read_recipe"]
