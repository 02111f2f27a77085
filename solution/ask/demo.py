"""`ask`: a Gradio page on loopback that shows a model's probabilities for one question."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from solution.core import UserError, log, resolve_path
from solution.exam import MAX_CHOICES, Exam, Prompt, Question, load_prompt, read_exam
from solution.kowiki import RetrievalConfig, open_index, retrieve_passages
from solution.models import LoadedModel, ModelReference, load
from solution.scoring import evaluate

HOST = "127.0.0.1"
TITLE = "Ask a model · 모델에게 묻기"
FIELDS = ("Passage · 지문", "Question · 질문", "More · 보기", "Choices, one per line · 선택지")
COLUMNS = ["choice · 선택지", "as asked · 그대로", "mean · 평균", "rotated · 순서 바꿈"]
WITH_PASSAGES = "with passages · 위키와 함께"
WIKI_COLUMNS = ["title · 제목", "section · 절", "overlap · 겹침", "text · 글"]


def ask(
    models: Sequence[str],
    adapter: Path | None,
    exam: Path,
    prompt: str,
    port: int | None,
    *,
    retrieve: RetrievalConfig | None = None,
) -> None:
    """Serve the page until Ctrl-C, for one or two models; an adapter counts as a second one.

    With `retrieve`, questions are answered without and with a wiki's passages. Raises UserError
    for an invalid model, exam, prompt or wiki, or a port in use.
    """
    references = [ModelReference(model=model) for model in models]
    if adapter:
        references.append(ModelReference(model=models[-1], adapter=str(adapter)))
    if len(references) > 2:
        raise UserError("ask shows one or two models; an adapter counts as one.")
    questions, template = read_exam(resolve_path(str(exam))), load_prompt(prompt)
    if retrieve:
        open_index(resolve_path(retrieve.passages))
    page = build([load(reference) for reference in references], questions, template, retrieve)
    log(f"Serving on this machine only; Ctrl-C stops. {len(questions)} questions of {exam}.")
    try:
        page.launch(**launch_options(port))
    except OSError as error:
        raise UserError(f"--port {port}: cannot listen: {error}") from error


def launch_options(port: int | None) -> dict[str, Any]:
    """Return options of `launch`: loopback, no tunnel, system fonts (no font server)."""
    from gradio.themes import Default

    theme = Default(font=["system-ui", "sans-serif"], font_mono=["monospace"])
    return {"server_name": HOST, "server_port": port, "share": False, "theme": theme}


def build(
    loaded: Sequence[LoadedModel], exam: Exam, prompt: Prompt, retrieve: RetrievalConfig | None
) -> Any:
    """Return the Gradio blocks: a question to choose or type, and an answer per model."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    import gradio as gr

    def cells(columns: Sequence[str]) -> Any:  # "str": user text is never markup
        return gr.Dataframe(headers=list(columns), datatype="str", interactive=False, wrap=True)

    def fill(row: int) -> list[str]:
        q = exam.questions[row]
        return [q.paragraph, q.question, q.question_plus, "\n".join(q.choices)]

    def answer(*typed: str) -> list[Any]:
        try:
            return answer_question(loaded, parse_question(*typed), prompt, retrieve)
        except UserError as error:
            raise gr.Error(str(error)) from error

    with gr.Blocks(title=TITLE, analytics_enabled=False) as page, gr.Row():
        picks = [(f"{q.id}: {q.question[:60]}", n) for n, q in enumerate(exam.questions)]
        with gr.Column():
            pick = gr.Dropdown(picks, value=None, label="Pick · 고르기")
            fields = [gr.Textbox(label=name, lines=4) for name in FIELDS]
            button = gr.Button("Answer · 풀기", variant="primary")
        with gr.Column():
            outputs = []
            for model in loaded:
                name = " + ".join(
                    filter(None, (model.reference.model, model.reference.adapter))
                )
                outputs.append(gr.Textbox(label=name, interactive=False))
                outputs.append(cells([*COLUMNS, WITH_PASSAGES] if retrieve else COLUMNS))
            outputs += [cells(WIKI_COLUMNS)] if retrieve else []
        pick.change(fill, pick, fields)
        button.click(answer, fields, outputs)
    return page


def parse_question(paragraph: str, text: str, plus: str, choices: str) -> Question:
    """Return the typed question, one choice per line; UserError if a part is missing."""
    lines = [line.strip() for line in choices.splitlines() if line.strip()]
    if not text.strip():
        raise UserError("The question is blank.")
    if not 2 <= len(lines) <= MAX_CHOICES:
        raise UserError(f"{len(lines)} choices: give 2 to {MAX_CHOICES}, one per line.")
    return Question("asked", paragraph.strip(), text.strip(), tuple(lines), None, plus.strip())


def answer_question(
    loaded: Sequence[LoadedModel],
    question: Question,
    prompt: Prompt,
    retrieve: RetrievalConfig | None,
) -> list[Any]:
    """Return the page's outputs: per model a line and a row per choice, then the passages."""
    parts: list[Any] = []
    for model in loaded:
        orders = rotated_probabilities(model, question, prompt)
        best = [order.index(max(order)) for order in orders]
        same = f"the same choice in {best.count(best[0])} of {len(orders)} orders"
        rows = []
        for n, own in enumerate(zip(*orders, strict=True)):
            rotated = " ".join(f"{share:.3f}" for share in own[1:])
            mean = f"{sum(own) / len(own):.3f}"
            rows.append([f"{n + 1} {question.choices[n]}", f"{own[0]:.3f}", mean, rotated])
        parts += [f"Answer {best[0] + 1} ({max(orders[0]):.1%}); {same}.", rows]
    if retrieve is None:
        return parts
    found = retrieve_passages([question], retrieve, prompt, label="one question")
    hits = list(zip(found.found[0].hits, found.found[0].overlaps, strict=True))
    for number, model in enumerate(loaded):
        line, rows = parts[2 * number : 2 * number + 2]
        within = rotated_probabilities(model, found.questions[0], prompt)[0] if hits else []
        chosen = f"{within.index(max(within)) + 1}" if within else "no passage overlaps"
        parts[2 * number] = f"{line} {WITH_PASSAGES}: {chosen}."
        for n, row in enumerate(rows):
            row.append(f"{within[n]:.3f}" if within else "–")
    cells = [[h.passage.title, h.passage.section, f"{o:.2f}", h.passage.text] for h, o in hits]
    return [*parts, cells]


def rotated_probabilities(
    loaded: LoadedModel, question: Question, prompt: Prompt
) -> list[list[float]]:
    """Return the probability of each choice under every rotation of the choices."""
    own, n = question.choices, len(question.choices)
    asked = [replace(question, id=str(r), choices=own[r:] + own[:r]) for r in range(n)]
    scored, _ = evaluate(loaded, asked, prompt, on_batch=lambda _: None)
    return [[scored[r].probability[(i - r) % n] for i in range(n)] for r in range(n)]
