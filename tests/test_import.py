"""Importing the package is nearly free beside importing NumPy, because it loads nothing else."""

import subprocess
import sys

SMALL = {"copy", "dataclasses", "string", "_string", "threading", "fractions", "decimal", "_decimal", "numbers"}


def test_import_loads_only_numpy_and_small_parts_of_the_standard_library():
    program = "import sys, numpy; before = set(sys.modules); import tinygrad_meta; print(*set(sys.modules) - before)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert {name for name in loaded if not name.startswith("tinygrad_meta")} <= SMALL
