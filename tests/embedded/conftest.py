"""The embedded world, made once for all tests of it: exam, wiki and tokenizer."""

import pytest

from tools.embedded.exam import write_exams
from tools.embedded.tokenizer import build_tokenizer
from tools.embedded.wiki import write_wiki
from tools.embedded.world import build_world

SEED = 7


@pytest.fixture(scope="session")
def world():
    return build_world(SEED)


@pytest.fixture(scope="session")
def made(world, tmp_path_factory):
    """A folder with train.csv, test.csv, solution.csv and wiki.xml.bz2."""
    folder = tmp_path_factory.mktemp("embedded")
    write_exams(world, SEED, folder)
    write_wiki(world, SEED, folder / "wiki.xml.bz2")
    return folder


@pytest.fixture(scope="session")
def words():
    """The tokenizer of the tiny models."""
    return build_tokenizer()
