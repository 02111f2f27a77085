"""The model card: what the adapter is, what it was made from, what it scored, its limits."""

from __future__ import annotations

from typing import Any

from solution.finetune.datacard import card_section
from solution.finetune.recipe import Recipe


def model_card(recipe: Recipe, metrics: dict[str, Any]) -> str:
    """The adapter's README.md, its front matter as the Hugging Face hub reads it."""
    data, training = metrics["data"], metrics["training"]
    full = recipe.method == "full"
    return f"""---
base_model: {recipe.model.model}
library_name: {"transformers" if full else "peft"}
pipeline_tag: text-generation
language: ko
tags: [{recipe.method}, unsloth, trl, multiple-choice]
---

# {recipe.name}

{recipe.description}

{_KINDS[recipe.method]} `{recipe.model.model}` \
(revision {recipe.model.revision or "not fixed"}, quantization {recipe.model.quantization}).
It answers a multiple-choice question with the label of one choice; scores come from the
probabilities of the labels, not from generated text.

## Data

| questions | count |
|---|--:|
| trained on | {data["train_questions"]} |
| instructions trained on | {data["instructions"]} |
| held out for validation, by passage | {data["validation_questions"]} |
| test, never trained on | {data["test_questions"]} |
| left out because they stand in the test too | {data["left_out_for_test"]} |
| training questions that lost passage text to fit | {training["truncated_rows"]} |

{card_section(data["card"])}

Only the answer and its end token were supervised: {training["supervised_tokens"]} tokens.
{_shuffling(recipe)}

## Scores

| accuracy | before | after |
|---|--:|--:|
{_scores(metrics)}

The validation score chose the checkpoint (step {training["best_step"]} of \
{training["steps"]}), so it is a little too good; the test score is not touched by that.

## Training

{_method(recipe)}: {training["trainable_parameters"]} trainable parameters. \
{training["steps"]} steps of {recipe.train.batch_size * recipe.train.gradient_accumulation} \
questions, learning rate {recipe.train.learning_rate:g} ({recipe.train.schedule}), seed \
{recipe.data.seed}, {training["training_minutes"]:g} minutes; \
{metrics["seconds_per_answer"]:g} s an answer.

## Use

```
./run.sh predict --model {_use(recipe)} --prompt {recipe.prompt} \
--exam FILE.csv --out DIR
```

## Limits

- It knows the form of these exams; it was not measured on anything else, nor on free text.
- The probabilities are not calibrated; another prompt than `{recipe.prompt}` will do worse.
- Exam questions and passages may be under copyright: whoever shares the adapter has to look
  into the terms of the training data.

## Licences

The adapter is a work on top of the base model and its training data: the licence of
`{recipe.model.model}` and the terms of the data apply to it. This project's code is Apache-2.0.
Unsloth's CPU backend, used for training without a GPU, is AGPL-3.0 (the code, not its results).
"""


_KINDS = {
    "lora": "A LoRA adapter for",
    "ia3": "An IA3 adapter for",
    "full": "All weights tuned, of",
}


def _use(recipe: Recipe) -> str:
    if recipe.method == "full":
        return "THIS_FOLDER"
    return f"{recipe.model.model} --adapter THIS_FOLDER"


def _method(recipe: Recipe) -> str:
    if recipe.method == "full":
        return "Every weight"
    if recipe.method == "ia3":
        return f"IA3 on {', '.join(recipe.ia3.target_modules)}"
    lora = recipe.lora
    kind = "DoRA" if lora.dora else "LoRA"
    scale = "alpha/sqrt(r)" if lora.rslora else "alpha/r"
    return (
        f"{kind}, r {lora.r}, alpha {lora.alpha:g} (scaled by {scale}), dropout "
        f"{lora.dropout:g}, first weights {lora.init}, on {', '.join(lora.target_modules)}"
    )


def _shuffling(recipe: Recipe) -> str:
    if not recipe.train.shuffle_choices:
        return "The choices stood in the order of the file."
    return (
        "The choices were put into a new order in every epoch, the answer following; "
        "those that refer to other choices stayed."
    )


def _scores(metrics: dict[str, Any]) -> str:
    names = {"validation": "validation"} | {
        f"test {part}": part for part in metrics["after"].get("test", {})
    }
    lines = []
    for label, part in names.items():
        before, after = (
            metrics[when].get("validation")
            if part == "validation"
            else metrics[when].get("test", {}).get(part)
            for when in ("before", "after")
        )
        lines.append(f"| {label} | {_number(before)} | {_number(after)} |")
    return "\n".join(lines)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"
