import pytest

from solution.kowiki import build


@pytest.fixture(scope="session")
def wiki(embedded, tmp_path_factory):
    """The build of the embedded wiki."""
    return build(str(embedded / "wiki.xml.bz2"), tmp_path_factory.mktemp("wiki") / "passages")
