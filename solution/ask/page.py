"""`ask`: the page itself, by Gradio, on loopback only and without a word to anybody."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from solution.ask.orders import Answered, answer_turned, as_question
from solution.base import UserError, find, note
from solution.exam import Exam, Prompt, Question, load_prompt, read_exam
from solution.models import LoadedModel, ModelReference, load

HOST = "127.0.0.1"
TITLE = "Ask a model · 모델에게 묻기"
Cells = list[list[str]]


def ask(
    models: Sequence[str], adapter: Path | None, exam: Path, prompt: str, port: int | None
) -> None:
    """Serve the page until Ctrl-C.

    One or two models; with one model and an `adapter`, the base model and the tuned one side
    by side. Raises UserError for more models, a faulty exam, prompt or model, a taken port.
    """
    references = _references(models, adapter)
    questions, template = read_exam(find(str(exam))), load_prompt(prompt)
    loaded = [load(reference) for reference in references]
    page = build(loaded, questions, template)
    note(f"On this machine only; Ctrl-C ends it. {len(questions)} questions of {exam}.")
    try:
        page.launch(**settings(port))
    except OSError as error:
        raise UserError(f"--port {port}: cannot be listened on: {error}") from error


def settings(port: int | None) -> dict[str, Any]:
    """How the page is served: to this machine, no tunnel, no statistics, system fonts."""
    import gradio

    fonts = ["system-ui", "sans-serif"]
    return {
        "server_name": HOST,
        "server_port": port,
        "share": False,
        "footer_links": [],
        "theme": gradio.themes.Default(font=fonts, font_mono=["monospace"]),
    }


def build(loaded: Sequence[LoadedModel], exam: Exam, prompt: Prompt) -> Any:
    """The page's blocks: a question to pick or type, and for each model what it gives."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    import gradio as gr

    picks = [(f"{q.id}: {q.question[:60]}", place) for place, q in enumerate(exam.questions)]
    with gr.Blocks(title=TITLE, analytics_enabled=False) as page:
        gr.Markdown(f"# {TITLE}")
        with gr.Row():
            with gr.Column():
                pick = gr.Dropdown(picks, value=None, label="Pick · 고르기")
                fields = [
                    gr.Textbox(label="Passage · 지문", lines=6),
                    gr.Textbox(label="Question · 질문", lines=2),
                    gr.Textbox(label="More · 보기", lines=2),
                    gr.Textbox(label="Choices, one a line · 선택지, 한 줄에 하나", lines=5),
                ]
                button = gr.Button("Answer · 풀기", variant="primary")
            shown = [_column(gr, model) for model in loaded]
        outputs = [part for column in shown for part in column]

        def answer(*typed: str) -> list[Any]:
            try:
                question = as_question(*typed)
                found = [answer_turned(model, question, prompt) for model in loaded]
            except UserError as error:
                raise gr.Error(str(error)) from error
            parts = [(verdict(a), table(question, a)) for a in found]
            return [part for pair in parts for part in pair]

        pick.change(lambda place: typed_of(exam.questions[place]), pick, fields)
        button.click(answer, fields, outputs)
    return page


def typed_of(question: Question) -> list[str]:
    """What the fields hold for a question of the exam."""
    text, plus = question.question, question.question_plus
    return [question.paragraph, text, plus, "\n".join(question.choices)]


def verdict(answered: Answered) -> str:
    """One line: the answer, how sure, and whether it stays under other orders."""
    sure, orders = max(answered.orders[0]), len(answered.orders)
    mean = answered.mean.index(max(answered.mean)) + 1
    return (
        f"Answer {answered.answer} ({sure:.1%}); the same choice under {answered.steady} of "
        f"{orders} orders; the mean of all orders says {mean}."
    )


def table(question: Question, answered: Answered) -> Cells:
    """A row a choice: its probability as asked with a bar, the mean, and every other order."""
    rows = []
    for place, text in enumerate(question.choices):
        own = [order[place] for order in answered.orders]
        bar = "█" * round(10 * own[0]) or "▏"
        cells = [f"{own[0]:.3f} {bar}", f"{answered.mean[place]:.3f}"]
        turns = [f"{share:.3f}" for share in own[1:]]
        rows.append([f"{place + 1} {text}", *cells, " ".join(turns)])
    return rows


def _column(gr: Any, model: LoadedModel) -> tuple[Any, Any]:
    with gr.Column():
        adapter = model.reference.adapter
        name = f"{model.reference.model}{f' + {adapter}' if adapter else ''}"
        line = gr.Textbox(label=name, interactive=False)
        headers = ["choice · 선택지", "as asked · 그대로", "mean · 평균", "turned · 순서 바꿈"]
        # Kind str: cells are text, whatever a pasted choice holds.
        cells = gr.Dataframe(headers=headers, datatype="str", interactive=False, wrap=True)
    return line, cells


def _references(models: Sequence[str], adapter: Path | None) -> list[ModelReference]:
    references = [ModelReference(model=model) for model in models]
    if adapter:
        references.append(ModelReference(model=models[-1], adapter=str(adapter)))
    if len(references) > 2:
        raise UserError("ask shows one or two models; an adapter counts as one.")
    return references
