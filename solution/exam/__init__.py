"""Exams: questions, answer keys, prompts, splits and orders of the choices."""

from solution.exam.answer_key import (
    AnswerKey,
    public_private_split,
    read_answer_key,
    with_answers,
    write_answer_key,
)
from solution.exam.choice_orders import Order, choice_orders, permute_choices, shuffle_choices
from solution.exam.csv_table import Row, Table, read_table
from solution.exam.exam_csv import MAX_CHOICES, read_exam, write_exam
from solution.exam.near_duplicates import (
    Overlap,
    content_hash,
    near_duplicate_groups,
    overlaps,
)
from solution.exam.prompt import Prompt, load_prompt
from solution.exam.question import Exam, Question, SubmissionFormat
from solution.exam.splits import split_folds, split_validation
