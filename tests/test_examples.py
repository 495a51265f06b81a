"""Every example runs from a folder of its own, is short, prints what it promises and leaves its pictures in ``results``."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"

# Example, patterns that its output contains, pictures.
CASES = [
    ("01_computational_graph", [r"v3 = 20\.0  made by multiply from v1, v2",
                                r"dF/dv3 += 1\.0\n.*dF/dv1 = v2 += 4\.0\n.*dF/dv2 = v1 += 5\.0\n",
                                r"dF/dx1 = v2 += 4\.0\n.*dF/dx2 = v1 \+ v2 += 9\.0\n",
                                r"\[\[0\. 1\.\]\n \[1\. 2\.\]\]"], "computational_graph.svg"),
    ("02_higher_derivatives", [r"7 +-272\.000000 +-272\.000000"], "higher_derivatives.png"),
    ("03_check_a_gradient", [r"rule of right:\n  first order: correct\n  second order: correct",
                             r"rule of wrong:\n  first order: WRONG",
                             r"rule of detached:\n  first order: correct\n  second order: WRONG"], "finite_differences.png"),
    ("04_stateless_and_stateful", [r"derivative +(-?\d\.\d{6})\d*\nfinite difference +\1"], "loss_after_a_step.png"),
    ("05_digits", [r"held-out accuracy (9[789]|100)\.\d\d %"], "digits.png"),
    ("06_sine_tasks", [r"predicting the average wave +3\.0"], "sine_tasks.png"),
    ("07_maml_step_by_step", [r"five tasks one by one +(\d\.\d{12})\nall at once +\1\n",
                              r" 300 +3\.\d\d +[01]\.\d\d\n"], "maml_step_by_step.png"),
    ("08_second_order_proof", [*(rf"{activation} +{steps} +\de-(0[89]|1\d) +(0\.[1-9]|[1-9])"
                                 for activation in ("relu", "tanh") for steps in (1, 2, 5)),
                               r"MAML +\de-1\d\n"], "second_order_proof.png"),
    ("09_quadratic_task", [rf"{steps} steps +(\S+) +(\S+) +\1 +\2 " for steps in (1, 2, 5)], "quadratic_task.png"),
    ("10_what_create_graph_costs", [r"gradient +0 operations", r"gradient, create_graph=True +\d\d operations",
                                    r"after 20 inner steps +\d{3} operations"], "what_create_graph_costs.png"),
    ("11_from_tape_to_program", [r"F: 3 operations recorded, 3 instructions", r"gradient: \d+ operations recorded, 3 instructions",
                                 r"\d+ +\d+  as recorded\n", r"Eager and replayed differ by \de-0[678] "],
     "from_tape_to_program.png"),
    ("12_formulas", [r"∂F/∂x2 = ∂F/∂v1 · ∂v1/∂x2 \+ ∂F/∂v2 · ∂v2/∂x2 = v1 \+ v2 = 9\n", r"dF/dx2 = v1 \+ v2\n",
                     r"1 +0\.786448 = 1 - tanh\(x\)\*\*2\n"], "derivative.svg"),
    ("13_pictures", [], "gradient.svg graph.gif maml.svg maml_folded.svg maml_gradients_folded.svg network.svg "
                        "second_derivative.svg"),
    ("14_three_families", [r"optimisation +[23]\.\d\d +0\.[3456]", r"metric +[1234]\.\d\d +0\.[3456]",
                           r"model +[234]\.\d\d +0\.[012]\d"], "three_families.png"),
    ("15_few_shot_images", [r"nearest pixels +[45]\d\.\d %", r"after 1,000 steps +[89]\d\.\d %"], "few_shot_images.png"),
    ("16_recompute", [r"100 +50 +\d+\.\d +\d+\.\d +0\.[012]\d"], "recompute.png"),
]


def test_every_example_is_here():
    assert [path.stem for path in sorted(EXAMPLES.glob("*.py"))] == [name for name, _, _ in CASES]


@pytest.mark.parametrize("name", [name for name, _, _ in CASES])
def test_an_example_is_short(name):
    assert len((EXAMPLES / f"{name}.py").read_text(encoding="utf-8").splitlines()) < 80


@pytest.mark.parametrize("name, patterns, pictures", CASES, ids=[name for name, _, _ in CASES])
def test_example(name, patterns, pictures, tmp_path):
    if name == "05_digits":
        pytest.importorskip("sklearn", reason="the digits come with scikit-learn")
    run = subprocess.run([sys.executable, "-W", "error", EXAMPLES / f"{name}.py"], cwd=tmp_path,
                         env={**os.environ, "MPLBACKEND": "Agg"}, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    for pattern in patterns:
        assert re.search(pattern, run.stdout), f"{pattern!r} is not in\n{run.stdout}"
    assert sorted([str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.*")]) == [
        str(Path("results", picture)) for picture in pictures.split()]
