"""Every example runs from a folder of its own, prints what it promises and leaves its picture where it is told to."""

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
                                r"\[\[0\. 1\.\]\n \[1\. 2\.\]\]"], None),
    ("02_higher_derivatives", [r"7 +-272\.000000 +-272\.000000"], "higher_derivatives.png"),
    ("03_check_a_gradient", [r"rule of right:\n  first order: correct\n  second order: correct",
                             r"rule of wrong:\n  first order: WRONG",
                             r"rule of detached:\n  first order: correct\n  second order: WRONG"], None),
    ("04_stateless_and_stateful", [r"derivative +(-?\d\.\d{6})\d*\n +finite difference +\1"], None),
    ("05_digits", [r"held-out accuracy (9[789]|100)\.\d\d %"], "digits.png"),
    ("06_sine_tasks", [r"predicting the average wave +3\.0"], "sine_tasks.png"),
    ("07_maml_step_by_step", [r"five tasks: (\d\.\d{12}) one by one, \1 all at once",
                              r"after 300 meta-updates: .* [01]\.\d\d after one step"], None),
    ("08_second_order_proof", [*(rf"{activation} +{steps} +\de-(0[89]|1\d) +(0\.[1-9]|[1-9])"
                                 for activation in ("relu", "tanh") for steps in (1, 2, 5)),
                               r"MAML +\de-1\d\n"], None),
    ("09_quadratic_task", [rf"{steps} steps +(\S+) +(\S+) +\1 +\2 " for steps in (1, 2, 5)], None),
    ("10_what_create_graph_costs", [r"its gradient +0 ", r"through 20 inner steps +\d+"], None),
    ("11_from_tape_to_program", [r"F: 3 operations recorded, 3 instructions", r"gradient: \d+ operations recorded, 3 instructions",
                                 r"as recorded +\d+ +\d+\n", r"Eager and replayed differ by \de-0[678] "], None),
    ("12_formulas", [r"∂F/∂x2 = ∂F/∂v1 · ∂v1/∂x2 \+ ∂F/∂v2 · ∂v2/∂x2 = v1 \+ v2 = 9\n", r"dF/dx2 = v1 \+ v2\n",
                     r"1 +0\.786448 = 1 - tanh\(x\)\*\*2\n"], None),
    ("13_pictures", [r"4 \+ 5 = 9"], "gradient.svg graph.html graph.svg maml.svg maml_folded.svg maml_gradients_folded.svg "
                                     "network.svg second_derivative.svg"),
    ("14_three_families", [r"optimisation +[23]\.\d\d +0\.[3456]", r"metric +[1234]\.\d\d +0\.[3456]",
                           r"model +[234]\.\d\d +0\.[012]\d"], "three_families.png"),
    ("15_few_shot_images", [r"nearest pixels +[45]\d\.\d %", r"after 1,000 steps +[89]\d\.\d %"], "few_shot_images.png"),
    ("16_recompute", [r"100 +50 +\d+\.\d +\d+\.\d +0\.[012]\d"], None),
]


def test_every_example_is_here():
    assert [path.stem for path in sorted(EXAMPLES.glob("*.py"))] == [name for name, _, _ in CASES]


@pytest.mark.parametrize("name, patterns, picture", CASES, ids=[name for name, _, _ in CASES])
def test_example(name, patterns, picture, tmp_path):
    if name == "05_digits":
        pytest.importorskip("sklearn", reason="the digits come with scikit-learn")
    run = subprocess.run([sys.executable, "-W", "error", EXAMPLES / f"{name}.py", tmp_path / "pictures"], cwd=tmp_path,
                         env={**os.environ, "MPLBACKEND": "Agg"}, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    for pattern in patterns:
        assert re.search(pattern, run.stdout), f"{pattern!r} is not in\n{run.stdout}"
    assert sorted([path.name for path in tmp_path.rglob("*.*")]) == (picture.split() if picture else [])
