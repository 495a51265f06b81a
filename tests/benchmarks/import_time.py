"""How long ``import tinygrad_meta`` takes, as a multiple of the ``import numpy`` that is part of it.

    python tests/benchmarks/import_time.py

Every round is a fresh process that imports NumPy first and then the rest, so that both see the machine in the same state.
"""

import os
import subprocess
import sys
from statistics import median
from tempfile import TemporaryDirectory

PROGRAM = """
from time import perf_counter
start = perf_counter()
import numpy
numpy_done = perf_counter()
import tinygrad_meta
print(1000 * (numpy_done - start), 1000 * (perf_counter() - start))
"""

rounds = []
with TemporaryDirectory() as compiled:  # as when installed: compiled once, in the first round, which does not count
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": compiled, "PYTHONDONTWRITEBYTECODE": ""}
    for _ in range(41):
        run = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, check=True)
        rounds.append(tuple(map(float, run.stdout.split())))

numpy_alone, everything = zip(*rounds[1:], strict=True)
ratios = [b / a for a, b in rounds[1:]]
print(f"import numpy          minimum {min(numpy_alone):6.1f} ms   median {median(numpy_alone):6.1f} ms")
print(f"import tinygrad_meta  minimum {min(everything):6.1f} ms   median {median(everything):6.1f} ms")
print(f"ratio                 minimum {min(ratios):6.2f}      median {median(ratios):6.2f}")
