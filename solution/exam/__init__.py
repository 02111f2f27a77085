"""What a question is: reading and writing exams, keys, splits and prompts."""

from solution.exam.passages import Overlap, identity, overlaps, passage_groups
from solution.exam.prompts import Prompt, load_prompt
from solution.exam.question import Exam, Question
from solution.exam.reader import read_exam, write_exam
from solution.exam.shuffle import Order, choice_orders, in_order, shuffle_choices
from solution.exam.solution import (
    Solution,
    halves,
    read_solution,
    with_answers,
    write_solution,
)
from solution.exam.splits import split_folds, split_validation
from solution.exam.table import Row, Table, read_table

__all__ = [
    "Exam",
    "Order",
    "Overlap",
    "Prompt",
    "Question",
    "Row",
    "Solution",
    "Table",
    "choice_orders",
    "halves",
    "identity",
    "in_order",
    "load_prompt",
    "overlaps",
    "passage_groups",
    "read_exam",
    "read_solution",
    "read_table",
    "shuffle_choices",
    "split_folds",
    "split_validation",
    "with_answers",
    "write_exam",
    "write_solution",
]
