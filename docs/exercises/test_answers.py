"""One test for each exercise, with a mark of its own.  Those that nobody has begun are skipped, unless they are asked for."""

import pytest
from grade import FILES, complaint, is_begun, name_of

EXERCISES = [pytest.param(n, marks=getattr(pytest.mark, f"exercise_{n:02}"), id=name_of(n)) for n in FILES]


@pytest.mark.parametrize("number", EXERCISES)
def test_answer(number, request):
    if not is_begun(number) and "exercise" not in request.config.option.markexpr:
        pytest.skip("not begun")
    if wrong := complaint(number):
        pytest.fail(wrong, pytrace=False)
