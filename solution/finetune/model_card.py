"""The model card of an adapter: its data, scores, method and limits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from solution.core import markdown
from solution.exam import Question
from solution.finetune.data import FinetuneData
from solution.finetune.recipe import Recipe

UNNAMED = "the training file"
KINDS = {
    "lora": "A LoRA adapter for",
    "ia3": "An IA3 adapter for",
    "full": "A full fine-tuning of",
}


def data_card(data: FinetuneData, training: Mapping[str, Any]) -> dict[str, Any]:
    """Count rows by source, dropped rows by reason, and answers by position.

    `training` is the content of training.json, which has the lengths in tokens.
    """
    rows = Counter(question.source or UNNAMED for question in data.train)
    rows.update(f"instructions {row.source}" for row in data.instructions.rows)
    rows["kowiki questions"] = len(data.wiki.questions)
    rows["kowiki passages"] = len(data.wiki.passages)
    dropped = Counter({f"{s}: {r}": n for (s, r), n in data.instructions.dropped.items()})
    dropped["training questions: also in the test file"] = data.removed_overlaps
    dropped["kowiki: also in the test file"] = data.wiki.removed_overlaps
    dropped.update(training.get("dropped", {}))
    return {
        "rows": dict(+rows),
        "dropped": dict(+dropped),
        "answers": _answer_counts([*data.train, *data.wiki.questions]),
        "tokens": training.get("lengths", {}),
    }


def model_card(recipe: Recipe, metrics: Mapping[str, Any]) -> str:
    """Format the adapter's README.md, with the front matter of the Hugging Face Hub."""
    training, train, full = metrics["training"], recipe.train, recipe.method == "full"
    model = "THIS_FOLDER" if full else f"{recipe.model.model} --adapter THIS_FOLDER"
    return f"""---
base_model: {recipe.model.model}
library_name: {"transformers" if full else "peft"}
pipeline_tag: text-generation
language: ko
tags: [{recipe.method}, unsloth, trl, multiple-choice]
---

# {recipe.name}

{recipe.description}

{KINDS[recipe.method]} `{recipe.model.model}` (revision {recipe.model.revision}, \
quantization {recipe.model.quantization}).
It answers multiple-choice questions; scores are computed from the probabilities of the choice
labels, not from generated text.

## Data

{_data(metrics, train.train_on_prompt)}

## Scores

{_scores(metrics)}

Step {training["best_step"]} of {training["steps"]} has the best validation score, which is \
therefore optimistic; the test was not used for the selection.

## Training

{_method(recipe)}: {training["trainable_parameters"]} trainable parameters.
{training["steps"]} steps of {recipe.rows_per_step} rows, \
learning rate {train.learning_rate:g} ({train.lr_scheduler_type}), \
seed {recipe.data.seed}, choices \
{"shuffled in every epoch" if train.shuffle_choices else "not shuffled"}, \
{training["training_minutes"]:g} minutes; {metrics["seconds_per_answer"]:g} s per answer.

```
./run.sh predict --model {model} --prompt {recipe.prompt} --exam FILE.csv --out DIR
```

## Limits and licences

- Evaluated on exams of this form only. Probabilities are not calibrated; prompts other than
  `{recipe.prompt}` score lower.
- The licence of `{recipe.model.model}` and the terms of the training data apply to the adapter;
  exam questions and passages may be copyrighted. This project's code is Apache-2.0, Unsloth's
  CPU backend AGPL-3.0 (the code, not its results).
"""


def _data(metrics: Mapping[str, Any], train_on_prompt: bool) -> str:
    data, training = metrics["data"], metrics["training"]
    counts = {
        "trained on": data["train_questions"],
        "instructions trained on": data["instructions"],
        "validation, split by passage": data["validation_questions"],
        "test, never trained on": data["test_questions"],
        "removed because they are in the test file": data["left_out_for_test"],
        "training questions with a truncated passage": training["truncated_rows"],
    }
    table = markdown(["questions", "count"], [(k, str(v)) for k, v in counts.items()])
    tokens = f"{training['supervised_tokens']} tokens"
    supervised = "all tokens" if train_on_prompt else "the answer and the end token"
    return f"{table}\n\n{data_section(data['card'])}\n\nSupervised: {supervised}, {tokens}."


def data_section(card: Mapping[str, Any]) -> str:
    """Format the data card as Markdown."""
    parts = [markdown(["source", "rows"], [(k, str(v)) for k, v in card["rows"].items()])]
    if card["dropped"]:
        rows = [(reason, str(count)) for reason, count in card["dropped"].items()]
        parts.append(markdown(["dropped", "rows"], rows))
    if card["answers"]:
        most = max(len(counts) for counts in card["answers"].values())
        header = ["choices", *(f"answer {n}" for n in range(1, most + 1))]
        body = [
            (size, *(str(n) for n in counts), *[""] * (most - len(counts)))
            for size, counts in card["answers"].items()
        ]
        parts.append(markdown(header, body))
    if card["tokens"]:
        statistics = ", ".join(f"{name} {value:g}" for name, value in card["tokens"].items())
        parts.append(f"Tokens per row: {statistics}.")
    return "\n\n".join(parts)


def _answer_counts(questions: Iterable[Question]) -> dict[str, list[int]]:
    """Count the correct positions by number of choices, before shuffling."""
    found: dict[int, list[int]] = {}
    for question in questions:
        size = len(question.choices)
        counts = found.setdefault(size, [0] * size)
        counts[(question.answer or 1) - 1] += 1
    return {str(size): found[size] for size in sorted(found)}


def _method(recipe: Recipe) -> str:
    if recipe.method == "full":
        return "All weights"
    if recipe.method == "ia3":
        return f"IA3 on {', '.join(recipe.ia3.target_modules)}"
    lora = recipe.lora
    kind = "DoRA" if lora.use_dora else "LoRA"
    scale = "alpha/sqrt(r)" if lora.use_rslora else "alpha/r"
    return (
        f"{kind}, r {lora.r}, alpha {lora.alpha:g} (scaled by {scale}), dropout "
        f"{lora.dropout:g}, on {', '.join(lora.target_modules)}"
    )


def _scores(metrics: Mapping[str, Any]) -> str:
    flat = {
        when: {"validation": metrics[when].get("validation")}
        | {f"test {part}": value for part, value in metrics[when].get("test", {}).items()}
        for when in ("before", "after")
    }
    rows = [
        (label, *(_number(flat[when].get(label)) for when in ("before", "after")))
        for label in flat["after"]
    ]
    return markdown(["accuracy", "before", "after"], rows)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"
