"""Results in the layout of lm-evaluation-harness, so that its viewers read them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from solution.core import write_json, write_jsonl
from solution.exam import Prompt, Question
from solution.explore.job import ExamCell
from solution.explore.metrics import ExamKey
from solution.explore.statistics import clustered_error
from solution.models import ModelReference
from solution.scoring import ChoiceScores

FOLDER = "harness"


def write_lm_eval_results(
    cell: ExamCell,
    reference: ModelReference,
    key: ExamKey,
    task: str,
    scored: list[ChoiceScores],
) -> None:
    """Write harness/<candidate>/results_<time>.json and samples_<task>_<time>.jsonl.

    The layout is that of lm_eval 0.4's `--output_path --log_samples`: accuracy with its
    clustered standard error, and a line per question with the log-likelihood of every choice.
    The time is when the candidate was scored, so writing again changes nothing.
    """
    made = datetime.fromtimestamp((cell.path / "config.yaml").stat().st_mtime, UTC)
    stamp = made.replace(tzinfo=None).isoformat().replace(":", "-")
    folder = cell.path.parent / FOLDER / cell.path.name
    samples = [
        _sample(number, question, one, cell.prompt)
        for number, (question, one) in enumerate(zip(key.questions, scored, strict=True))
    ]
    hits = [sample["acc"] for sample in samples]
    metrics = {
        "acc,none": sum(hits) / len(hits),
        "acc_stderr,none": clustered_error(hits, key.groups),
    }
    results = {
        "results": {task: {"alias": task, **metrics}},
        "group_subtasks": {task: []},
        "configs": {task: _task(task, cell.prompt)},
        "versions": {task: 1},
        "n-shot": {task: 0},
        "higher_is_better": {task: {"acc": True}},
        "n-samples": {task: {"original": len(hits), "effective": len(hits)}},
        "config": {"model": "exam-qa", "model_args": reference.model_dump()},
        "date": made.timestamp(),
        "task_hashes": {task: _digest("".join(s["doc_hash"] for s in samples))},
        "model_source": "exam-qa",
        "model_name": reference.model,
        "model_name_sanitized": cell.path.name,
    }
    write_json(folder / f"results_{stamp}.json", results)
    write_jsonl(folder / f"samples_{task}_{stamp}.jsonl", samples)


def _task(task: str, prompt: Prompt) -> dict[str, Any]:
    metric = {"metric": "acc", "aggregation": "mean", "higher_is_better": True}
    return {
        "task": task,
        "output_type": "multiple_choice",
        "num_fewshot": 0,
        "metric_list": [metric],
        "metadata": {"version": 1, "prompt": prompt.name},
    }


def _sample(
    number: int, question: Question, scored: ChoiceScores, prompt: Prompt
) -> dict[str, Any]:
    """Return one line; the harness writes the numbers of responses as text."""
    doc = asdict(question) | {"choices": list(question.choices)}
    asked = "\n\n".join(message["content"] for message in prompt.messages(question))
    target = str((question.answer or 0) - 1)
    responses = [
        [str(value), str(place == scored.answer)]
        for place, value in enumerate(scored.log_likelihood, start=1)
    ]
    return {
        "doc_id": number,
        "doc": doc,
        "target": target,
        "arguments": {
            f"gen_args_{place}": {"arg_0": asked, "arg_1": answer}
            for place, answer in enumerate(prompt.answers(question))
        },
        "resps": [[response] for response in responses],
        "filtered_resps": responses,
        "filter": "none",
        "metrics": ["acc"],
        "doc_hash": _digest(json.dumps(doc, indent=2, ensure_ascii=False)),
        "prompt_hash": _digest(asked),
        "target_hash": _digest(target),
        "acc": float(scored.answer == question.answer),
    }


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
