"""`ask`: the page itself, by Gradio, on loopback only and without a word to anybody."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from solution.ask.orders import Answered, answer_turned, as_question
from solution.core import UserError, log, resolve_path
from solution.exam import Exam, Prompt, Question, load_prompt, read_exam
from solution.kowiki import Hit, RetrievalConfig, open_index, retrieve_passages
from solution.models import LoadedModel, ModelReference, load

HOST = "127.0.0.1"
TITLE = "Ask a model · 모델에게 묻기"
Cells = list[list[str]]
HEADERS = ["choice · 선택지", "as asked · 그대로", "mean · 평균", "turned · 순서 바꿈"]
WIKI_HEADERS = ["title · 제목", "section · 절", "score · 점수", "overlap · 겹침", "text · 글"]
NOTHING_FITS = (
    "No passage is shown: a long paragraph, or none that overlaps with the question. "
    "· 보여 줄 위키 글이 없습니다."
)


def ask(
    models: Sequence[str],
    adapter: Path | None,
    exam: Path,
    prompt: str,
    port: int | None,
    *,
    retrieve: RetrievalConfig | None = None,
) -> None:
    """Serve the page until Ctrl-C.

    One or two models; with one model and an `adapter`, the base model and the tuned one side
    by side. With `retrieve` every question is answered without and with a wiki's passages.
    Raises UserError for more models, a faulty exam, prompt, wiki or model, a taken port.
    """
    references = _references(models, adapter)
    questions, template = read_exam(resolve_path(str(exam))), load_prompt(prompt)
    if retrieve:
        open_index(
            resolve_path(retrieve.passages)
        )  # made now, if at all: not while somebody waits
    loaded = [load(reference) for reference in references]
    page = build(loaded, questions, template, retrieve)
    log(f"On this machine only; Ctrl-C ends it. {len(questions)} questions of {exam}.")
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


def build(
    loaded: Sequence[LoadedModel],
    exam: Exam,
    prompt: Prompt,
    retrieve: RetrievalConfig | None = None,
) -> Any:
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
            shown = [_column(gr, model, bool(retrieve)) for model in loaded]
        outputs = [part for column in shown for part in column]
        if retrieve:
            widths = ["18%", "18%", "8%", "8%", "48%"]
            outputs.append(_cells(gr, WIKI_HEADERS, label="Wiki · 위키", column_widths=widths))

        def answer(*typed: str) -> list[Any]:
            try:
                return answered_by(loaded, as_question(*typed), prompt, retrieve)
            except UserError as error:
                raise gr.Error(str(error)) from error

        pick.change(lambda place: typed_of(exam.questions[place]), pick, fields)
        button.click(answer, fields, outputs)
    return page


def answered_by(
    loaded: Sequence[LoadedModel],
    question: Question,
    prompt: Prompt,
    retrieve: RetrievalConfig | None,
) -> list[Any]:
    """What the page shows for a question: a line and a table a model, then the passages."""
    plain = [answer_turned(model, question, prompt) for model in loaded]
    if retrieve is None:
        return [part for a in plain for part in (verdict(a), table(question, a))]
    put_in = retrieve_passages([question], retrieve, prompt, label="one question")
    [told], [found] = put_in.questions, put_in.found
    parts: list[Any] = []
    for model, without in zip(loaded, plain, strict=True):
        within = answer_turned(model, told, prompt) if found.hits else None
        said = f"With passages · 위키와 함께: {verdict(within)}" if within else NOTHING_FITS
        rows = table(question, without, within)
        wide = rows if within else [[*row, "–"] for row in rows]
        parts += [f"{verdict(without)}\n{said}", wide]
    return [*parts, passages(found.hits, found.overlaps)]


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


def table(question: Question, answered: Answered, within: Answered | None = None) -> Cells:
    """A row a choice: its probability as asked with a bar, the mean, and every other order.

    `within` adds what the same choice gets as asked, with passages.
    """
    rows = []
    for place, text in enumerate(question.choices):
        own = [order[place] for order in answered.orders]
        turns = " ".join(f"{share:.3f}" for share in own[1:])
        cells = [_share(own[0]), f"{answered.mean[place]:.3f}", turns]
        told = [_share(within.orders[0][place])] if within else []
        rows.append([f"{place + 1} {text}", *cells, *told])
    return rows


def passages(hits: Sequence[Hit], overlaps: Sequence[float]) -> Cells:
    """A row a passage, best first: where it stands, what it scores, what it says."""
    return [
        [
            hit.passage.title,
            hit.passage.section,
            f"{hit.score:.2f}",
            f"{like:.2f}",
            hit.passage.text,
        ]
        for hit, like in zip(hits, overlaps, strict=True)
    ]


def _share(value: float) -> str:
    return f"{value:.3f} {'█' * round(10 * value) or '▏'}"


def _column(gr: Any, model: LoadedModel, told: bool) -> tuple[Any, Any]:
    with gr.Column():
        adapter = model.reference.adapter
        name = f"{model.reference.model}{f' + {adapter}' if adapter else ''}"
        line = gr.Textbox(label=name, interactive=False)
        headers = [*HEADERS, "with passages · 위키와 함께"] if told else HEADERS
        return line, _cells(gr, headers)


def _cells(gr: Any, headers: Sequence[str], **options: Any) -> Any:
    # Kind str: cells are text, whatever a pasted choice or a wiki's article holds.
    plain = {"datatype": "str", "interactive": False, "wrap": True}
    return gr.Dataframe(headers=list(headers), **plain, **options)


def _references(models: Sequence[str], adapter: Path | None) -> list[ModelReference]:
    references = [ModelReference(model=model) for model in models]
    if adapter:
        references.append(ModelReference(model=models[-1], adapter=str(adapter)))
    if len(references) > 2:
        raise UserError("ask shows one or two models; an adapter counts as one.")
    return references
