"""Write ``exercises.ipynb`` from the files of the exercises: ``python docs/exercises/notebook.py``.

Each exercise becomes three cells: the question, the code to be filled in, and the grade.
"""

import ast
import json
from pathlib import Path

from grade import FILES, name_of

NOTEBOOK = Path(__file__).parent / "exercises.ipynb"

INTRODUCTION = """\
# Exercises

Put your code in place of the `...`, run the cell, and run the one below it: it grades your answer, and says what is wrong with
it. Start Jupyter in the folder `docs/exercises` of a checkout of tinygrad_meta, where this notebook is, because grades come
from `grade.py` beside it. The chapters are in `docs/course`."""


def question_and_code(path):
    """The docstring of a file, and the rest of it."""
    source = path.read_text(encoding="utf-8")
    docstring = ast.parse(source).body[0]
    return ast.get_docstring(ast.parse(source)), "\n".join(source.splitlines()[docstring.end_lineno :]).strip()


def cells():
    found = [("markdown", INTRODUCTION), ("code", "from grade import grade")]
    for number, path in FILES.items():
        question, code = question_and_code(path)
        title, _, text = question.partition("\n")
        found += [("markdown", f"## {title.rstrip('.')}\n{text}"), ("code", code), ("code", f"grade({number}, "
                                                                                            f"{name_of(number)})")]
    return found


def notebook():
    """The notebook as the text of its file."""
    listed = []
    for i, (kind, text) in enumerate(cells()):
        cell = {"cell_type": kind, "id": f"cell-{i}", "metadata": {}, "source": text.splitlines(keepends=True)}
        if kind == "code":
            cell |= {"execution_count": None, "outputs": []}
        listed.append(cell)
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    return json.dumps({"cells": listed, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}, indent=1) + "\n"


if __name__ == "__main__":
    NOTEBOOK.write_text(notebook(), encoding="utf-8")
