"""Fine-tuning: from a recipe to a trained, scored adapter."""

from solution.finetune.distributed import is_main_process
from solution.finetune.evaluate import before_after_table
from solution.finetune.export import gguf, merge, push
from solution.finetune.instruction_data import iter_rows
from solution.finetune.memory import plan
from solution.finetune.recipe import Recipe, read_recipe
from solution.finetune.run import finetune
from solution.finetune.single import WITHOUT_PASSAGES

__all__ = [
    "WITHOUT_PASSAGES",
    "Recipe",
    "before_after_table",
    "finetune",
    "gguf",
    "is_main_process",
    "iter_rows",
    "merge",
    "plan",
    "push",
    "read_recipe",
]
