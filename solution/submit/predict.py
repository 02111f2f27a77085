"""`predict`: one model answers one exam; probabilities and submission land in one folder."""

from __future__ import annotations

from pathlib import Path

from solution.base import atomic_directory
from solution.exam import load_prompt, read_exam
from solution.submit.history import remember
from solution.submit.run import describe
from solution.submit.validate import PREDICTIONS
from solution.submit.write import check_folder, fill_folder


def predict(  # noqa: PLR0917 -- one argument an option of the command
    model: str, adapter: Path | None, exam: Path, out: Path, prompt: str, batch_tokens: int
) -> str:
    """Answer every question of `exam`; predictions.parquet and the submission go to `out`.

    `model` is a hub id or a folder, `adapter` the folder of a PEFT adapter for it, `prompt` a
    short name or a YAML file. Raises UserError for a faulty exam, prompt, model or folder.
    """
    questions, template = read_exam(exam), load_prompt(prompt)
    check_folder(out)
    from solution.models import ModelReference, load, weights_fingerprint
    from solution.scoring import answer_questions, trained_rows, write_predictions

    reference = ModelReference(model=model, adapter=str(adapter) if adapter else None)
    loaded = load(reference)
    scored, facts = answer_questions(
        loaded, questions.questions, template, batch_tokens, label=exam.name
    )
    produced_by = {
        "model": reference.model_dump(),
        "weights": weights_fingerprint(reference),
        "prompt": template.model_dump(),
        "exam": questions.sha256,
        "scoring": facts,
        "trained_on": trained_rows(reference),
    }
    with atomic_directory(out) as work:
        write_predictions(work / PREDICTIONS, scored, produced_by)
        fill_folder(work, scored, questions)
    remember(out, [out / PREDICTIONS], {}, "")
    return describe(out, questions, {row.id: row.answer for row in scored})
