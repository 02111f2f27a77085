"""The recipe: one YAML file that says what is tuned, on which questions, and how."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from solution.base import Config, UserError, find, load_config, shipped
from solution.kowiki import Retrieve
from solution.models import ModelReference

LINEAR_MODULES = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


class Kowiki(Config):
    """What is mixed in from a wiki, in rows for each question of the training file."""

    questions: str | None = None
    """An exam CSV, as `kowiki questions` writes it."""
    passages: str | None = None
    """A folder of `kowiki build`, read as plain text with the loss on every token."""
    questions_share: float = Field(default=0.5, gt=0)
    passages_share: float = Field(default=0.5, gt=0)


class Data(Config):
    """Exam files, and how many training questions are held out to choose the step."""

    train: str
    test: str
    solution: str | None = None
    validation_fraction: float = Field(default=0.1, ge=0, le=0.5)
    """0 trains on every question and keeps the last step instead of the best one."""
    seed: int = Field(default=0, ge=0, lt=2**32)
    """Decides the split, the order of questions and choices, the adapter's first weights."""
    kowiki: Kowiki | None = None


class Lora(Config):
    """The adapter: low-rank matrices beside the named linear modules."""

    r: int = Field(default=16, ge=1)
    alpha: float = Field(default=16, gt=0)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    rslora: bool = False
    """Scale by alpha/sqrt(r) instead of alpha/r, so that a larger r does not learn slower."""
    target_modules: tuple[str, ...] = Field(default=LINEAR_MODULES, min_length=1)


class Train(Config):
    """The course of the training; a step is one update of the weights."""

    epochs: int = Field(default=2, ge=1)
    max_steps: int | None = Field(default=None, ge=1)
    batch_size: int = Field(default=8, ge=1)
    gradient_accumulation: int = Field(default=1, ge=1)
    learning_rate: float = Field(default=2e-4, gt=0)
    schedule: Literal["cosine", "linear", "constant_with_warmup"] = "cosine"
    warmup_ratio: float = Field(default=0.05, ge=0, lt=1)
    weight_decay: float = Field(default=0.0, ge=0)
    optimizer: Literal["adamw_torch", "adamw_8bit", "paged_adamw_8bit"] = "adamw_torch"
    evaluate_every: int = Field(default=50, ge=1)
    """Steps between two scorings of the validation questions (one more at the end)."""
    save_every: int = Field(default=50, ge=1)
    """Steps between two checkpoints: what a kill may cost."""
    patience: int = Field(default=3, ge=1)
    """Stop after this many scorings in a row without a better validation accuracy."""
    shuffle_choices: bool = True
    gradient_checkpointing: Literal["unsloth"] | bool = False
    packing: bool = True
    """Rows of a step side by side in passes of at most batch_size times max_length tokens, each
    seeing only itself; else padded to the longest of a pass."""
    evaluation_batch_tokens: int = Field(default=16384, ge=1)


class Recipe(Config):
    """One fine-tuning, from data to adapter."""

    name: str = Field(pattern=r"^[\w][\w.-]*$")
    """Also the name of the run's folder."""
    description: str = ""
    model: ModelReference
    prompt: str = "contest"
    data: Data
    retrieve: Retrieve | None = None
    """Answer validation and test with a wiki's passages too, by a gate learnt on validation."""
    lora: Lora = Lora()
    train: Train = Train()

    @field_validator("model")
    @classmethod
    def _starts_from_a_base_model(cls, model: ModelReference) -> ModelReference:
        if model.adapter is not None:
            raise ValueError(
                "a recipe makes an adapter for a base model; remove the key adapter"
            )
        return model


def read_recipe(
    name: str, train: Path | None, test: Path | None, overrides: Sequence[str]
) -> Recipe:
    """The recipe of this short name or file, with the user's exam files and overrides in place.

    Another test file makes the recipe's own solution void unless an override names one.
    Raises UserError naming the file and the key, or a data file that is not there.
    """
    changes = [f"data.train={json.dumps(str(train))}"] if train else []
    if test:
        changes += [f"data.test={json.dumps(str(test))}", "data.solution=null"]
    recipe = load_config(shipped("recipes", name), Recipe, [*changes, *overrides])
    for key in ("train", "test", "solution"):
        path = getattr(recipe.data, key)
        if path is not None and not find(path).is_file():
            raise UserError(f"data.{key}: {path}: no such file. Give an exam CSV.")
    return recipe
