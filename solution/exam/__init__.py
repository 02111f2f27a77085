"""What a question is: reading and writing exams, keys, splits and prompts."""

from solution.exam.passages import Overlap, content_hash, near_duplicate_groups, overlaps
from solution.exam.prompts import Prompt, load_prompt
from solution.exam.question import Exam, Question
from solution.exam.reader import read_exam, write_exam
from solution.exam.shuffle import Order, choice_orders, permute_choices, shuffle_choices
from solution.exam.solution import (
    AnswerKey,
    public_private_split,
    read_answer_key,
    with_answers,
    write_answer_key,
)
from solution.exam.splits import split_folds, split_validation
from solution.exam.table import Row, Table, read_table

__all__ = [
    "AnswerKey",
    "Exam",
    "Order",
    "Overlap",
    "Prompt",
    "Question",
    "Row",
    "Table",
    "choice_orders",
    "content_hash",
    "load_prompt",
    "near_duplicate_groups",
    "overlaps",
    "permute_choices",
    "public_private_split",
    "read_answer_key",
    "read_exam",
    "read_table",
    "shuffle_choices",
    "split_folds",
    "split_validation",
    "with_answers",
    "write_answer_key",
    "write_exam",
]
