"""`predict`: one model answers one exam; probabilities and submission land in one folder."""

from __future__ import annotations

from pathlib import Path

from solution import __version__
from solution.core import UserError, atomic_directory
from solution.exam import load_prompt, read_exam
from solution.kowiki import RetrievalConfig, retrieval_inputs, retrieve_passages
from solution.scoring import (
    Debias,
    ScoreCache,
    evaluate,
    orders_fault,
    trained_rows,
    write_predictions,
)
from solution.submit.history import remember
from solution.submit.run import describe
from solution.submit.validate import PREDICTIONS
from solution.submit.write import check_folder, fill_folder

CACHE = ".scores.sqlite"


def predict(  # noqa: PLR0917 -- one argument an option of the command
    model: str,
    adapter: Path | None,
    exam: Path,
    out: Path,
    prompt: str,
    batch_tokens: int,
    permutations: int = 1,
    debias: Debias = "none",
    retrieve: RetrievalConfig | None = None,
) -> str:
    """Answer every question of `exam`; predictions.parquet and the submission go to `out`.

    `model` is a hub id or a folder, `adapter` the folder of a PEFT adapter for it, `prompt` a
    short name or a YAML file. What was scored is kept in .scores.sqlite beside `out`, each
    order of the choices (`permutations`, `debias`) by itself. `retrieve` puts a wiki's passages
    behind the short paragraphs first.
    Raises UserError for a faulty exam, prompt, model, option or folder.
    """
    if fault := orders_fault(permutations, debias):
        raise UserError(f"{fault}.")
    questions, template = read_exam(exam), load_prompt(prompt)
    check_folder(out)
    asked, passages = questions.questions, {}
    if retrieve:
        asked = retrieve_passages(asked, retrieve, template, label=exam.name).questions
        passages = {**retrieve.model_dump(), "sha256": retrieval_inputs(retrieve)}
    from solution.models import ModelReference, load, weights_fingerprint

    reference = ModelReference(model=model, adapter=str(adapter) if adapter else None)
    loaded = load(reference)
    weights = weights_fingerprint(reference)
    inputs = {"version": __version__, "model": reference.model_dump(), "weights": weights}
    cache = ScoreCache(out.with_name(CACHE), {"inputs": inputs, "dtype": loaded.dtype})
    scored, facts = evaluate(
        loaded,
        asked,
        template,
        batch_tokens=batch_tokens,
        label=exam.name,
        permutations=permutations,
        debias=debias,
        cache=cache,
    )
    produced_by = {
        "model": reference.model_dump(),
        "weights": weights,
        "prompt": template.model_dump(),
        "exam": questions.sha256,
        "permutations": permutations,
        "debias": debias,
        "retrieve": passages,
        "scoring": facts,
        "trained_on": trained_rows(reference),
    }
    with atomic_directory(out) as work:
        write_predictions(work / PREDICTIONS, scored, produced_by)
        fill_folder(work, scored, questions)
    remember(out, [out / PREDICTIONS], {}, "")
    return describe(out, questions, {row.id: row.answer for row in scored})
