"""The documents of the pre-training are written as the exam is put to the models."""

import re

import pytest

from solution.exam import Question, load_prompt
from solution.models import ChatTemplate
from tools.embedded.documents import ASSISTANT, END, USER, Writer
from tools.embedded.facts import RELATIONS, SUBJECTS
from tools.embedded.korean import with_particles

TEXTS = ("retell", "number", "lookup", "whole", "article", "quiz")
WHOLE = re.compile(
    re.escape(USER)
    + r"지문: (?P<paragraph>.*)\n(?P<choices>(?: \S+ \d\n)+)질문: (?P<question>.*)"
    + re.escape(END + ASSISTANT)
)


@pytest.fixture
def writer(words, world):
    return Writer(words, world, 1)


def _whole(writer, words):
    """The text before the first answer of a `whole` document, its question and its answer."""
    document = writer.write("whole")
    end = document.supervised.index(True)
    text = words.decode(document.ids[:end])
    parts = WHOLE.fullmatch(text)
    assert parts is not None, text
    choices = tuple(line.split()[0] for line in parts["choices"].splitlines())
    question = Question("1", parts["paragraph"], parts["question"], choices)
    return text, question, document.ids[end]


def _answer(question):
    """The one value that the passage gives to what the question asks."""
    (told,) = {
        value
        for kind, relations in RELATIONS.items()
        for relation in relations
        for name in SUBJECTS[kind]
        if name in question.question
        and question.question in _said(relation.questions, name, "")
        for value in question.choices
        if any(s in question.paragraph for s in _said(relation.statements, name, value))
    }
    return told


def _said(forms, name, value):
    return [with_particles(f.replace("{x}", name).replace("{y}", value)) for f in forms]


@pytest.mark.parametrize("kind", TEXTS)
def test_every_document_supervises_some_tokens_and_not_the_first(writer, kind):
    for _ in range(20):
        document = writer.write(kind)
        assert len(document.ids) == len(document.supervised)
        assert any(document.supervised)
        assert not document.supervised[0]


@pytest.mark.parametrize("kind", TEXTS)
def test_a_document_is_cut_into_tokens_like_its_text(writer, words, kind):
    for _ in range(20):
        ids = writer.write(kind).ids
        assert words(words.decode(ids), add_special_tokens=False).input_ids == ids


def test_the_same_seed_writes_the_same_documents(words, world):
    first, again, other = (Writer(words, world, seed).write("whole").ids for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_the_exam_prompt_reads_as_whole_questions_do(writer, words):
    prompt = load_prompt("embedded")
    for _ in range(50):
        text, question, answer = _whole(writer, words)
        assert (
            ChatTemplate(words, "w").render(prompt.messages(question), prompt.plain_suffix).text
            == text
        )
        answers = [
            words(a, add_special_tokens=False).input_ids for a in prompt.answers(question)
        ]
        assert [answer] in answers


def test_a_whole_question_is_answered_as_its_passage_says(writer, words):
    for _ in range(50):
        _, question, answer = _whole(writer, words)
        assert question.choices[int(words.decode(answer)) - 1] == _answer(question)


def test_the_quiz_asks_nothing_that_the_exam_asks(world):
    asked = {(fact.x, fact.relation.name) for fact in (*world.test, *world.train)}
    assert not asked & {(fact.x, fact.relation.name) for fact in world.quiz}
