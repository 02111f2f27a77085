"""`predict`: one model answers an exam; and the submission of a finished fine-tuning run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from solution.core import (
    UserError,
    apply_override,
    log,
    read_yaml,
    resolve_path,
    sha256_file,
    validate_config,
)
from solution.exam import Prompt, load_prompt
from solution.kowiki import RetrievalConfig, retrieval_inputs, retrieve_passages
from solution.models import (
    ModelReference,
    adapter_base,
    load,
    run_settings,
    weights_fingerprint,
)
from solution.scoring import (
    Debias,
    evaluate,
    open_score_cache,
    orders_fault,
    read_predictions,
    read_produced_by,
    trained_rows,
)
from solution.submit.files import read_target
from solution.submit.log import SUBMISSIONS
from solution.submit.write import (
    PREDICTIONS,
    check_folder,
    read_matching_key,
    write_submission,
)

CACHE = ".scores.sqlite"


def predict(
    model: str | None,
    exam: Path,
    out: Path,
    *,
    adapter: Path | None = None,
    prompt: str | None = None,
    changes: Sequence[str] = (),
    batch_tokens: int = 16384,
    permutations: int = 1,
    debias: Debias = "none",
    retrieve: RetrievalConfig | None = None,
    sample: Path | None = None,
) -> str:
    """Answer every question of `exam`; write predictions.parquet and the submission to `out`.

    `model` is a hub id or a folder, `adapter` the folder of a PEFT adapter, `prompt` a short
    name or a YAML file. What is None is taken from the run that holds the adapter, and so is
    how the model is loaded; `changes` (`key=value` of a model) replace that. `permutations`
    orders of the choices are averaged; `retrieve` adds a wiki's passages to questions with a
    short paragraph; `sample` is a sample submission, which gives columns and order. Scores
    are cached in .scores.sqlite beside `out`. Raises UserError for an
    invalid exam, prompt, model, option or folder.
    """
    if fault := orders_fault(permutations, debias):
        raise UserError(f"{fault}.")
    reference, template = model_and_prompt(model, adapter, prompt, changes)
    questions = read_target(exam, sample)
    check_folder(out)
    asked, passages = questions.questions, {}
    if retrieve:
        asked = retrieve_passages(asked, retrieve, template, label=exam.name).questions
        passages = {**retrieve.model_dump(), "sha256": retrieval_inputs(retrieve)}
    loaded, weights = load(reference), weights_fingerprint(reference)
    scored, metrics = evaluate(
        loaded,
        asked,
        template,
        batch_tokens=batch_tokens,
        label=exam.name,
        permutations=permutations,
        debias=debias,
        cache=open_score_cache(out.with_name(CACHE), loaded, weights),
    )
    produced_by = {
        "model": reference.model_dump(),
        "weights": weights,
        "prompt": template.model_dump(),
        "exam": questions.sha256,
        "permutations": permutations,
        "debias": debias,
        "retrieve": passages,
        "scoring": metrics,
        "trained_on": trained_rows(reference),
    }
    return write_submission(out, scored, questions, produced_by)


def model_and_prompt(
    model: str | None, adapter: Path | None, prompt: str | None, changes: Sequence[str]
) -> tuple[ModelReference, Prompt]:
    """Return the model and the prompt: those of the adapter's run but for what is given."""
    run = run_settings(adapter) if adapter else {}
    settings: dict[str, Any] = dict(run["recipe"]["model"]) if run else {}
    if model and model != settings.get("model"):
        settings |= {"model": model, "revision": None}
    if adapter:
        settings |= {"adapter": str(adapter)}
        settings.setdefault("model", adapter_base(adapter))
    for change in changes:
        apply_override(settings, change)
    if not settings.get("model"):
        raise UserError("--model: missing. Give a hub id or a folder.")
    reference = validate_config(settings, ModelReference, "the model")
    template = run.get("prompt") if prompt is None else None
    if isinstance(template, dict):
        found = validate_config(template, Prompt, f"{adapter}: the prompt of its run")
    else:
        found = load_prompt(prompt or run.get("recipe", {}).get("prompt", "contest"))
    if run:
        log(
            f"{adapter}: as in its run, {reference.model} with quantization "
            f"{reference.quantization}, dtype {reference.dtype}, prompt {found.name}"
        )
    return reference, found


def submit_run(run: Path, sample: Path | None = None) -> str:
    """Write submissions/<run name>/ from a run's predictions of its test file.

    Returns the files, the accuracy if the run has an answer key, and the next command. Raises
    UserError if the run, its test file or its predictions are missing or do not match.
    """
    config = run / "config.yaml"
    data = read_yaml(config).get("data")
    if not isinstance(data, dict) or not isinstance(data.get("test"), str):
        raise UserError(f"{config}: no data.test. Give the folder of a fine-tuning run.")
    exam = read_target(resolve_path(data["test"]), sample)
    solution = data.get("solution")
    key = read_matching_key(resolve_path(solution) if solution else None, exam)
    path, folder = run / PREDICTIONS, SUBMISSIONS / run.resolve().name
    scored, produced_by = read_predictions(path), read_produced_by(path)
    sources = {path: sha256_file(path)}
    return write_submission(folder, scored, exam, produced_by, key=key, sources=sources)
