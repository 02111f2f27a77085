"""From a recipe to an adapter: data, training by Unsloth and TRL, resuming, scoring."""

from solution.finetune.export import gguf, merge, push
from solution.finetune.planning import plan
from solution.finetune.processes import is_main_process
from solution.finetune.recipe import Recipe, read_recipe
from solution.finetune.run import WITHOUT_PASSAGES, finetune
from solution.finetune.scores import before_after_table
from solution.finetune.translation import translate

__all__ = [
    "WITHOUT_PASSAGES",
    "Recipe",
    "before_after_table",
    "finetune",
    "gguf",
    "is_main_process",
    "merge",
    "plan",
    "push",
    "read_recipe",
    "translate",
]
