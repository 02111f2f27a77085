"""The recipe: one YAML file with the model, the data and the method of a fine-tuning."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from solution.core import (
    Config,
    LocalPath,
    UserError,
    load_config,
    path_from_here,
    resolve_config,
    resolve_path,
)
from solution.finetune.distributed import is_main_process, wait_until
from solution.finetune.worker_process import run_in_process
from solution.kowiki import RetrievalConfig
from solution.models import ModelReference, make_tiny


class Kowiki(Config):
    """Training rows from a wiki, per question of the training file."""

    RENAMED: ClassVar = {
        "questions_share": "questions_per_train_question",
        "passages_share": "passages_per_train_question",
    }
    questions: LocalPath | None = None
    """An exam CSV written by `kowiki questions`."""
    passages: LocalPath | None = None
    """A folder of `kowiki build`: plain text with the loss on every token."""
    questions_per_train_question: float = Field(default=0.5, gt=0)
    passages_per_train_question: float = Field(default=0.5, gt=0)


class Instructions(Config):
    """One instruction set: a file, a folder of files or a dataset of the Hub."""

    source: LocalPath = Field(min_length=1)
    """.json, .jsonl or .parquet (also .gz), a folder of them, or a Hub id."""
    revision: str | None = None
    """Revision of a Hub id, such as refs/convert/parquet."""
    columns: dict[Literal["instruction", "input", "answer", "rationale", "task"], str] = Field(
        default_factory=dict
    )
    """Column of each part, where it has none of the usual names (docs/guides/recipes.md)."""
    template: LocalPath = "alpaca"
    """Prompt template: a short name of solution/templates, or FILE.yaml."""
    per_task: int | None = Field(default=None, ge=1)
    """Maximum rows per task, sampled by the seed."""
    limit: int | None = Field(default=None, ge=1)
    """Maximum rows in total, sampled by the seed."""
    rationale: Literal["first", "last", "none"] = "first"
    """Position of the rationale: before the answer, after it, or left out."""


class Data(Config):
    """Exam files and the validation split."""

    train: LocalPath | None = None
    """None trains on the instructions alone."""
    instructions: tuple[Instructions, ...] = ()
    test: LocalPath
    solution: LocalPath | None = None
    validation_fraction: float = Field(default=0.1, ge=0, le=0.5)
    """0 trains on every question and keeps the last step instead of the best one."""
    seed: int = Field(default=0, ge=0, lt=2**32)
    """Seed of the split, the orders of questions and choices, and the initial weights."""
    kowiki: Kowiki | None = None


class Retrieval(RetrievalConfig):
    """Show a wiki's passages in training and in scoring."""

    RENAMED: ClassVar = {"in_training": "train_fraction"}
    train_fraction: float = Field(default=1.0, ge=0, le=1)
    """Share of the training questions with passages that show them, resampled every epoch.

    0.5 cost the embedded study 9 points in Korean language: questions whose passage is hidden
    can only be memorised, which hurts reading comprehension."""


class Lora(Config):
    """A LoRA adapter; the keys are PEFT's."""

    RENAMED: ClassVar = {
        "rslora": "use_rslora",
        "dora": "use_dora",
        "init": "nothing: PiSSA and LoftQ are no longer supported, remove the key",
    }
    r: int = Field(default=16, ge=1)
    alpha: float = Field(default=16, gt=0)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    use_rslora: bool = False
    """Scale by alpha/sqrt(r) instead of alpha/r."""
    use_dora: bool = False
    """Train magnitude and direction of the weights separately (arXiv 2402.09353)."""
    target_modules: Literal["all-linear"] | tuple[str, ...] = Field(
        default="all-linear", min_length=1
    )
    """Names of linear layers; all-linear: every one but the output head."""


class Ia3(Config):
    """An IA3 adapter (arXiv 2205.05638): one learned factor per output of a module."""

    target_modules: tuple[str, ...] = Field(
        default=("k_proj", "v_proj", "down_proj"), min_length=1
    )
    feedforward_modules: tuple[str, ...] = ("down_proj",)
    """Target modules whose inputs are scaled instead of their outputs."""

    @field_validator("feedforward_modules")
    @classmethod
    def _are_targets(cls, names: tuple[str, ...], info: Any) -> tuple[str, ...]:
        unknown = set(names) - set(info.data.get("target_modules", names))
        if unknown:
            raise ValueError(f"{', '.join(sorted(unknown))}: not among target_modules")
        return names


class Train(Config):
    """Training arguments; a step is one optimizer update."""

    RENAMED: ClassVar = {
        "gradient_accumulation": "gradient_accumulation_steps",
        "schedule": "lr_scheduler_type",
        "optimizer": "optim",
        "evaluate_every": "eval_steps",
        "save_every": "save_steps",
        "evaluation_batch_tokens": "eval_batch_tokens",
        "loss": "train_on_prompt (false for answer, true for all)",
    }
    epochs: int = Field(default=2, ge=1)
    max_steps: int | None = Field(default=None, ge=1)
    batch_size: int = Field(default=8, ge=1)
    gradient_accumulation_steps: int = Field(default=1, ge=1)
    max_seq_length: int | Literal["auto"] | None = None
    """Maximum tokens of a training row. `auto`: what fits memory; None: model.max_length."""
    learning_rate: float = Field(default=2e-4, gt=0)
    """The default depends on the method, see LEARNING_RATES."""
    lr_scheduler_type: Literal["cosine", "linear", "constant_with_warmup"] = "cosine"
    warmup_ratio: float = Field(default=0.05, ge=0, lt=1)
    weight_decay: float = Field(default=0.0, ge=0)
    optim: Literal["adamw_torch", "adamw_8bit", "paged_adamw_8bit"] = "adamw_torch"
    eval_steps: int = Field(default=50, ge=1)
    """Steps between two evaluations on the validation questions (one more at the end)."""
    save_steps: int = Field(default=50, ge=1)
    """Steps between two checkpoints."""
    save_total_limit: int = Field(default=2, ge=1)
    """Checkpoints kept."""
    patience: int = Field(default=3, ge=1)
    """Stop after this many evaluations without a better validation accuracy."""
    shuffle_choices: bool = True
    gradient_checkpointing: Literal["unsloth"] | bool = False
    train_on_prompt: bool = False
    """Compute the loss on the question too, not only on the answer and the end token."""
    packing: bool = True
    """Concatenate the rows of a step in micro-batches of at most batch_size * max_seq_length
    tokens, each row attending only to itself; otherwise pad them."""
    eval_batch_tokens: int = Field(default=16384, ge=1)


# Default learning rates. LoRA: QLoRA (arXiv 2305.14314) and Unsloth. rsLoRA multiplies updates
# by sqrt(r) and DoRA trains magnitudes too: their papers take half. Full fine-tuning moves all
# weights: 2e-5. IA3 trains one factor per feature, so it needs a large learning rate: 3e-3 in
# its paper; in PEFT's comparison 1e-4, 1e-3 and 5e-3 scored .311, .398 and .455.
LEARNING_RATES = {"lora": 2e-4, "use_rslora": 1e-4, "use_dora": 1e-4, "ia3": 3e-3, "full": 2e-5}


class Stage(Config):
    """One of several consecutive trainings: its changes to the recipe."""

    name: str = Field(pattern=r"^[\w][\w.-]*$")
    data: Annotated[dict[str, Any], BeforeValidator(path_from_here)] = Field(
        default_factory=dict
    )
    retrieve: dict[str, Any] | None = None
    train: dict[str, Any] = Field(default_factory=dict)


class Recipe(Config):
    """One fine-tuning, from data to adapter."""

    RENAMED: ClassVar = {"start": "adapter_init"}
    name: str = Field(pattern=r"^[\w][\w.-]*$")
    """Also the name of the run folder."""
    description: str = ""
    model: ModelReference
    tiny: Literal["qwen2", "llama", "gpt_neox", "gemma2"] | None = None
    """Replace the model by a tiny one of this architecture with random weights."""
    prompt: LocalPath = "contest"
    data: Data
    retrieve: Retrieval | None = None
    method: Literal["lora", "ia3", "full"] = "lora"
    lora: Lora = Lora()
    ia3: Ia3 = Ia3()
    train: Train = Train()
    adapter_init: LocalPath | None = None
    """Folder of an adapter of the same method and shape: the initial weights."""
    report_to: Literal["none", "tensorboard", "wandb", "trackio"] = "none"
    """Tracker of every step's metrics; no part of the run's identity."""
    stages: tuple[Stage, ...] = ()
    """Consecutive trainings, each initialised from the adapter of the previous one."""

    @property
    def initial_model(self) -> ModelReference:
        """The model before training, with the adapter of `adapter_init`."""
        return self.model.model_copy(update={"adapter": self.adapter_init})

    @property
    def rows_per_step(self) -> int:
        """Training rows of one optimizer step, over all processes."""
        return self.train.batch_size * self.train.gradient_accumulation_steps

    @model_validator(mode="before")
    @classmethod
    def _default_learning_rate(cls, keys: Any) -> Any:
        if not isinstance(keys, dict):
            return keys
        train, lora = keys.get("train", {}), keys.get("lora", {})
        if not isinstance(train, dict) or not isinstance(lora, dict):
            return keys
        method = keys.get("method", "lora")
        kinds = [method] if method in LEARNING_RATES else ["lora"]
        if method == "lora":
            kinds += [kind for kind in ("use_rslora", "use_dora") if lora.get(kind) is True]
        rate = min(LEARNING_RATES[kind] for kind in kinds)
        return {**keys, "train": {"learning_rate": rate, **train}}

    @model_validator(mode="after")
    def _is_consistent(self) -> Recipe:
        if self.method == "full" and (self.adapter_init is not None or len(self.stages) > 1):
            raise ValueError("adapter_init and stages need method lora or ia3")
        if len({stage.name for stage in self.stages}) < len(self.stages):
            raise ValueError("stages: the names must differ")
        if self.data.train is None and not self.data.instructions:
            raise ValueError("data: no training data; give train, instructions or both")
        if self.method == "full" and self.model.quantization != "none":
            raise ValueError("method full can't train quantized weights; use lora or ia3")
        if self.model.adapter is not None:
            raise ValueError("model.adapter: remove the key adapter (or use adapter_init)")
        return self


def read_recipe(
    name: str, train: Path | None, test: Path | None, overrides: Sequence[str]
) -> Recipe:
    """Read a recipe by short name or file, with the user's exam files and overrides.

    Another test file unsets the recipe's `data.solution`, unless an override gives one.

    Raises UserError: a wrong key or value, a missing exam file or tracker.
    """
    changes = [f"data.train={json.dumps(str(train))}"] if train else []
    if test:
        changes += [f"data.test={json.dumps(str(test))}", "data.solution=null"]
    recipe = load_config(resolve_config("recipes", name), Recipe, [*changes, *overrides])
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


def create_tiny_model(recipe: Recipe) -> Recipe:
    """Create the tiny model of a recipe with the key `tiny` and return the recipe that uses it.

    The model is written to runs/tiny-models by rank 0, unless it exists.
    """
    if recipe.tiny is None:
        return recipe
    folder = Path("runs") / "tiny-models" / recipe.tiny
    exists = (folder / "config.json").is_file
    if is_main_process() and not exists():
        killed = f"creating {folder} was killed, probably out of memory."
        run_in_process(make_tiny, recipe.tiny, folder, killed=killed)
    wait_until(exists)
    model = recipe.model.model_copy(update={"model": str(folder), "revision": None})
    return recipe.model_copy(update={"model": model})
