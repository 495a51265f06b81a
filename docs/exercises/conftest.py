"""The same as ``grade.py`` for those who prefer pytest: ``python -m pytest docs/exercises -m exercise_03``."""

from grade import FILES

collect_ignore_glob = ["[0-9]*.py", "solutions", "grade.py", "notebook.py"]  # no tests, and no examples to be run


def pytest_configure(config):
    for number in FILES:
        config.addinivalue_line("markers", f"exercise_{number:02}: grade your answer to this exercise")
