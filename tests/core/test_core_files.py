"""Files are complete or unchanged, JSON is standard, and a lock has one holder."""

import json
import math
import subprocess
import sys

import pytest

from solution.core import (
    UserError,
    append_jsonl,
    atomic_directory,
    atomic_write,
    exclusive_lock,
    fingerprint,
    read_jsonl,
    write_json,
    write_jsonl,
)

NOTES = ["줄\u2028바꿈", "para\u2029graph", "next\u0085line", "a\rb\nc"]


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), atomic_write(path) as partial:
        partial.write_text("new")
        raise ZeroDivisionError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_is_replaced_as_a_whole(tmp_path):
    folder = tmp_path / "a"
    for name in ("one", "two"):
        with atomic_directory(folder) as work:
            (work / name).touch()
    assert [path.name for path in folder.iterdir()] == ["two"]
    with pytest.raises(ZeroDivisionError), atomic_directory(folder):
        raise ZeroDivisionError
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_json_has_no_nan(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"p": math.nan, "all": [1.5, math.inf, (-math.inf,)], "한글": True})
    text = path.read_text(encoding="utf-8")
    assert "한글" in text
    found = json.loads(text, parse_constant=pytest.fail)
    assert found == {"p": None, "all": [1.5, None, [None]], "한글": True}


@pytest.mark.parametrize("note", NOTES)
def test_json_lines_keep_unicode_line_separators(tmp_path, note):
    path = tmp_path / "a.jsonl"
    rows = [{"note": note}, {"note": "next"}]
    write_jsonl(path, rows)
    assert read_jsonl(path) == rows


@pytest.mark.parametrize("cut", [1, 2, 9])
def test_a_truncated_line_is_skipped_and_not_merged_with_the_next(tmp_path, cut):
    path = tmp_path / "a.jsonl"
    for note in ("첫째", "둘째"):
        append_jsonl(path, {"note": note})
    path.write_bytes(path.read_bytes()[:-cut])
    kept = read_jsonl(path)
    assert len(kept) == (2 if cut == 1 else 1)  # a cut newline loses no data
    append_jsonl(path, {"note": math.nan})
    assert read_jsonl(path) == [*kept, {"note": None}]


def test_a_missing_file_has_no_rows(tmp_path):
    assert read_jsonl(tmp_path / "absent.jsonl") == []


def test_the_order_of_keys_does_not_change_a_fingerprint():
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    assert fingerprint({"a": 1}) != fingerprint({"a": 2})


def test_a_lock_has_one_holder_and_ends_with_its_process(tmp_path):
    path = tmp_path / "new" / ".lock"
    code = (
        "import sys, pathlib; from solution.core import exclusive_lock\n"
        "with exclusive_lock(pathlib.Path(sys.argv[1]), 'busy'):\n"
        "    print('held', flush=True); sys.stdin.read()"
    )
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=pipe, stdout=pipe
    ) as holder:
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(UserError, match="busy"), exclusive_lock(path, "busy"):
            pytest.fail("two holders")
        holder.kill()
        holder.wait()
    with exclusive_lock(path, "busy"):
        pass


def test_a_lock_in_an_unwritable_folder_is_an_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="--out"), exclusive_lock(tmp_path / "file/.lock", ""):
        pass
