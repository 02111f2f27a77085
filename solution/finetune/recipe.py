"""The recipe: one YAML file that says what is tuned, on which questions, and how."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from solution.core import Config, UserError, load_config, resolve_config, resolve_path
from solution.finetune.processes import is_main_process, wait_until
from solution.kowiki import RetrievalConfig
from solution.models import ModelReference, make_tiny

LINEAR_MODULES = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


class Kowiki(Config):
    """What is mixed in from a wiki, in rows for each question of the training file."""

    questions: str | None = None
    """An exam CSV, as `kowiki questions` writes it."""
    passages: str | None = None
    """A folder of `kowiki build`, read as plain text with the loss on every token."""
    questions_share: float = Field(default=0.5, gt=0)
    passages_share: float = Field(default=0.5, gt=0)


class Instructions(Config):
    """One instruction set, in the layout it is published in; see docs/recipes.md."""

    source: str = Field(min_length=1)
    """A file (.json, .jsonl, .parquet, .txt; gzip too), a folder of such files, or a hub id."""
    template: str = "alpaca"
    """How a row is put to the model: a short name of solution/templates, or FILE.yaml."""
    per_task: int | None = Field(default=None, ge=1)
    """At most so many rows of each task, drawn by the seed; smaller tasks are kept whole."""
    limit: int | None = Field(default=None, ge=1)
    """At most so many rows in all, drawn by the seed."""
    rationale: Literal["first", "last", "none"] = "first"
    """Where a row's reasoning stands, if it has one: before the answer, after it, nowhere."""


class Data(Config):
    """Exam files, and how many training questions are held out to choose the step."""

    train: str | None = None
    """None trains on the instructions alone."""
    instructions: tuple[Instructions, ...] = ()
    test: str
    solution: str | None = None
    validation_fraction: float = Field(default=0.1, ge=0, le=0.5)
    """0 trains on every question and keeps the last step instead of the best one."""
    seed: int = Field(default=0, ge=0, lt=2**32)
    """Decides the split, the order of questions and choices, the adapter's first weights."""
    kowiki: Kowiki | None = None


class Retrieval(RetrievalConfig):
    """Show a wiki's passages in training and in answering."""

    in_training: float = Field(default=1.0, ge=0, le=1)
    """Share of the admitted training questions that show theirs, drawn anew in every epoch.

    With 0.5 the embedded study lost 9 points in Korean language: what can't be read then can
    only be learnt by heart, and that disturbs the reading."""


class Lora(Config):
    """The adapter: low-rank matrices beside the named linear modules."""

    r: int = Field(default=16, ge=1)
    alpha: float = Field(default=16, gt=0)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    rslora: bool = False
    """Scale by alpha/sqrt(r) instead of alpha/r, so that a larger r does not learn slower."""
    dora: bool = False
    """Learn the length of each weight vector apart from its direction (arXiv 2402.09353)."""
    init: Literal["default", "pissa", "loftq"] = "default"
    """The first weights: random, the weights' principal part (PiSSA, arXiv 2404.02948), or what
    the quantisation to four bits lost (LoftQ, arXiv 2310.08659)."""
    target_modules: tuple[str, ...] = Field(default=LINEAR_MODULES, min_length=1)


class Ia3(Config):
    """The adapter of IA3 (arXiv 2205.05638): one learnt factor for each output of a module."""

    target_modules: tuple[str, ...] = Field(
        default=("k_proj", "v_proj", "down_proj"), min_length=1
    )
    feedforward_modules: tuple[str, ...] = ("down_proj",)
    """Of the target modules those whose inputs are scaled instead of their outputs."""

    @field_validator("feedforward_modules")
    @classmethod
    def _are_targets(cls, names: tuple[str, ...], info: Any) -> tuple[str, ...]:
        strange = set(names) - set(info.data.get("target_modules", names))
        if strange:
            raise ValueError(f"{', '.join(sorted(strange))}: not among target_modules")
        return names


class Train(Config):
    """The course of the training; a step is one update of the weights."""

    epochs: int = Field(default=2, ge=1)
    max_steps: int | None = Field(default=None, ge=1)
    batch_size: int = Field(default=8, ge=1)
    gradient_accumulation: int = Field(default=1, ge=1)
    max_seq_length: int | Literal["auto"] | None = None
    """Tokens of a training row at most: `auto` is what the memory plan says fits, None is
    model.max_length."""
    learning_rate: float = Field(default=2e-4, gt=0)
    """Where a recipe doesn't say: what suits its method, see RATES."""
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
    loss: Literal["answer", "all"] = "answer"
    """On the answer and its end alone, or on every token of the question too."""
    packing: bool = True
    """Rows of a step side by side in passes of at most batch_size times max_length tokens, each
    seeing only itself; else padded to the longest of a pass."""
    evaluation_batch_tokens: int = Field(default=16384, ge=1)


# Learning rates where a recipe names none; the lowest that applies is taken. LoRA: QLoRA's
# (arXiv 2305.14314) and Unsloth's. rsLoRA multiplies the update by sqrt(r), DoRA trains lengths
# beside directions, LoftQ starts from weights that are not zero: their papers and PEFT's
# comparison take half. PiSSA starts at the principal weights, full tuning moves all of them:
# 2e-5 in the PiSSA paper for both. IA3 trains one factor a feature, so a step must be large:
# 3e-3 in its paper; in PEFT's comparison 1e-4, 1e-3 and 5e-3 gave .311, .398 and .455.
RATES = {
    "lora": 2e-4,
    "rslora": 1e-4,
    "dora": 1e-4,
    "loftq": 1e-4,
    "pissa": 2e-5,
    "ia3": 3e-3,
    "full": 2e-5,
}


class Stage(Config):
    """One link of a chain: what it changes of the recipe's own keys."""

    name: str = Field(pattern=r"^[\w][\w.-]*$")
    data: dict[str, Any] = Field(default_factory=dict)
    retrieve: dict[str, Any] | None = None
    train: dict[str, Any] = Field(default_factory=dict)


class Recipe(Config):
    """One fine-tuning, from data to adapter."""

    name: str = Field(pattern=r"^[\w][\w.-]*$")
    """Also the name of the run's folder."""
    description: str = ""
    model: ModelReference
    tiny: Literal["qwen2", "llama", "gpt_neox", "gemma2"] | None = None
    """Instead of the model: one of this architecture with a few thousand random weights."""
    prompt: str = "contest"
    data: Data
    retrieve: Retrieval | None = None
    method: Literal["lora", "ia3", "full"] = "lora"
    lora: Lora = Lora()
    ia3: Ia3 = Ia3()
    train: Train = Train()
    start: str | None = None
    """The folder of an adapter of the same method and shape that the training goes on from."""
    report_to: Literal["none", "tensorboard", "wandb", "trackio"] = "none"
    """Where the trainer sends every step's figures too; no part of what decides the result."""
    stages: tuple[Stage, ...] = ()
    """Trainings one after the other, each from the adapter of the one before."""

    @model_validator(mode="before")
    @classmethod
    def _suitable_learning_rate(cls, keys: Any) -> Any:
        """Put in the method's own learning rate where the recipe names none."""
        if not isinstance(keys, dict):
            return keys
        train, lora = keys.get("train", {}), keys.get("lora", {})
        if not isinstance(train, dict) or not isinstance(lora, dict):
            return keys
        method = keys.get("method", "lora")
        kinds = [method] if method in RATES else ["lora"]
        if method == "lora":
            kinds += [kind for kind in ("rslora", "dora") if lora.get(kind) is True]
            kinds += [kind for kind in ("loftq", "pissa") if lora.get("init") == kind]
        rate = min(RATES[kind] for kind in kinds)
        return {**keys, "train": {"learning_rate": rate, **train}}

    @model_validator(mode="after")
    def _can_go_on(self) -> Recipe:
        chained = self.start is not None or len(self.stages) > 1
        if chained and (self.method == "full" or self.lora.init == "pissa"):
            raise ValueError("start and stages: go on from LoRA or IA3 adapters only")
        if len({stage.name for stage in self.stages}) < len(self.stages):
            raise ValueError("stages: give each a name of its own")
        return self

    @property
    def begins_as(self) -> ModelReference:
        """The model that the training begins with, the adapter it goes on from included."""
        return self.model.model_copy(update={"adapter": self.start})

    @model_validator(mode="after")
    def _fits_together(self) -> Recipe:
        quantised = self.model.quantization != "none"
        if self.data.train is None and not self.data.instructions:
            raise ValueError(
                "data: give train, instructions or both: there is nothing to learn"
            )
        if self.method == "full" and quantised:
            raise ValueError(
                "method full: quantised weights can't be trained; take lora or ia3"
            )
        if self.method == "lora" and self.lora.init == "pissa" and quantised:
            raise ValueError(
                "lora.init pissa: needs model.quantization none (loftq needs 4bit)"
            )
        if self.method == "lora" and self.lora.init == "loftq":
            if self.model.quantization != "4bit":
                raise ValueError("lora.init loftq: corrects what model.quantization 4bit loses")
            if self.lora.dora:
                raise ValueError("lora.init loftq: not together with lora.dora")
        return self

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
    recipe = load_config(resolve_config("recipes", name), Recipe, [*changes, *overrides])
    recipe = with_tiny_model(recipe)
    if recipe.report_to != "none" and find_spec(recipe.report_to) is None:
        raise UserError(
            f"report_to: {recipe.report_to} is not installed. Install it into the environment "
            f"({sys.executable} -m pip install {recipe.report_to}), or --set report_to=none."
        )
    for key in ("train", "test", "solution"):
        path = getattr(recipe.data, key)
        if path is not None and not resolve_path(path).is_file():
            raise UserError(f"data.{key}: {path}: no such file. Give an exam CSV.")
    return recipe


def with_tiny_model(recipe: Recipe) -> Recipe:
    """The recipe with the folder of its tiny model, made now, where it asks for one."""
    if recipe.tiny is None:
        return recipe
    folder = Path("runs") / "tiny-models" / recipe.tiny
    if is_main_process():
        make_tiny(recipe.tiny, folder)
    wait_until((folder / "config.json").is_file)
    model = recipe.model.model_copy(update={"model": str(folder), "revision": None})
    return recipe.model_copy(update={"model": model})
