"""Results in the layout of lm-evaluation-harness, so that its viewers read ours."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from solution.core import atomic_write, write_json
from solution.exam import Prompt, Question
from solution.explore.candidates import Outcome
from solution.explore.job import Job
from solution.explore.key import Key
from solution.explore.statistics import clustered_error
from solution.scoring import ChoiceScores

HARNESS = "harness"


def write_harness(job: Job, key: Key, task: str, outcome: Outcome) -> None:
    """Write harness/<candidate>/results_<time>.json and samples_<task>_<time>.jsonl.

    The layout is that of lm_eval 0.4's `--output_path --log_samples`: accuracy with its
    clustered error, and a line a question with the log-likelihood of every choice. The time is
    that at which the candidate was scored, so writing again changes nothing.
    """
    if outcome.scored is None:
        return
    made = datetime.fromtimestamp((job.place / "config.yaml").stat().st_mtime, UTC)
    stamp = made.replace(tzinfo=None).isoformat().replace(":", "-")
    folder = job.place.parent / HARNESS / job.place.name
    name = job.reference.model
    hits = [float(s.answer == a) for s, a in zip(outcome.scored, key.answers, strict=True)]
    samples = [
        _sample(number, question, scored, job.prompt)
        for number, (question, scored) in enumerate(
            zip(key.questions, outcome.scored, strict=True)
        )
    ]
    score = {
        "acc,none": sum(hits) / len(hits),
        "acc_stderr,none": clustered_error(hits, key.groups),
    }
    results = {
        "results": {task: {"alias": task, **score}},
        "group_subtasks": {task: []},
        "configs": {task: _task(task, job.prompt)},
        "versions": {task: 1},
        "n-shot": {task: 0},
        "higher_is_better": {task: {"acc": True}},
        "n-samples": {task: {"original": len(hits), "effective": len(hits)}},
        "config": {"model": "exam-qa", "model_args": job.reference.model_dump()},
        "date": made.timestamp(),
        "task_hashes": {task: _digest("".join(s["doc_hash"] for s in samples))},
        "model_source": "exam-qa",
        "model_name": name,
        "model_name_sanitized": job.place.name,
    }
    write_json(folder / f"results_{stamp}.json", results)
    with atomic_write(folder / f"samples_{task}_{stamp}.jsonl") as partial:
        lines = [json.dumps(sample, ensure_ascii=False) + "\n" for sample in samples]
        partial.write_text("".join(lines), encoding="utf-8")


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
    """One line; the harness writes numbers of replies as text."""
    doc = asdict(question) | {"choices": list(question.choices)}
    asked = "\n\n".join(message["content"] for message in prompt.messages(question))
    target = str((question.answer or 0) - 1)
    replies = [
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
        "resps": [[reply] for reply in replies],
        "filtered_resps": replies,
        "filter": "none",
        "metrics": ["acc"],
        "doc_hash": _digest(json.dumps(doc, indent=2, ensure_ascii=False)),
        "prompt_hash": _digest(asked),
        "target_hash": _digest(target),
        "acc": float(scored.answer == question.answer),
    }


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
