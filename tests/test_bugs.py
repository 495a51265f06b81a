"""The gallery of bugs: every bug changes what is printed, the check that is named fails on it, and passes without it."""

import difflib
import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from bugs import BUGS, PAGE, ROOT, all_checks, anchor, broken, healthy, page, plant

NUMBERS = range(len(BUGS))


@pytest.fixture(scope="module", autouse=True)
def two_at_a_time():
    """Each bug takes a process of its own; ``broken`` remembers what came of it."""
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(broken, NUMBERS))


@pytest.mark.parametrize("number", NUMBERS, ids=[bug.title for bug in BUGS])
def test_the_check_fails_on_the_bug(number):
    assert broken(number).code == 1, f"1 is a test that failed, and not an error before it:\n{broken(number).report}"


def test_the_checks_pass_without_a_bug():
    outcome = all_checks()
    assert outcome.code == 0, outcome.report


@pytest.mark.parametrize("number", NUMBERS, ids=[bug.title for bug in BUGS])
def test_the_reader_sees_a_difference(number):
    before, after = healthy(BUGS[number]), broken(number).output
    assert after
    assert before != after


def test_the_page_is_what_the_table_says():
    written, due = PAGE.read_text(encoding="utf-8"), page()
    lines = difflib.unified_diff(written.splitlines(), due.splitlines(), "the page", "the table", lineterm="", n=1)
    difference = "\n".join(lines)
    assert written == due, f"write it anew: python -m tests.bugs\n{difference}"


def test_a_bug_that_fits_nowhere_or_twice_is_refused(tmp_path):
    bug = BUGS[0]
    path = tmp_path / bug.file
    path.parent.mkdir(parents=True)
    for places in (0, 2):
        path.write_text(places * (bug.changes[0][0] + "\n"))
        with pytest.raises(ValueError, match=f"has {places} places"):
            plant(bug, tmp_path)


def test_the_function_that_is_named_is_in_the_file():
    for bug in BUGS:
        file, function = bug.where.split()
        assert re.search(rf"def {function.split('.')[-1]}\(", (ROOT / file).read_text(encoding="utf-8")), bug.where


def test_titles_make_anchors_of_their_own_and_lines_fit_a_phone():
    assert len({anchor(bug) for bug in BUGS}) == len(BUGS)
    blocks = re.findall(r"^```.*?^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert len(blocks) == 1 + 5 * len(BUGS)
    assert [line for block in blocks for line in block.splitlines() if len(line) > 75] == []
