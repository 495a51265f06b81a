"""Nothing silently wrong, nothing lost: ``python -m tests.reliability`` tries hard to find something, and prints what it did.

The test suite makes a few hundred such trials at every change; this command makes them by the ten thousand, in twenty minutes,
and ``--quick`` a quarter of that.  The exit code is 1 if anything was wrong.
"""

import argparse
import faulthandler
import os
import sys
import time
from importlib import import_module
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # where pytest finds the test modules, too

PARTS = {  # name on the command line: module whose function count(quick) returns rows (what, how many, how many wrong)
    "programs": "test_programs",
    "mutation": "mutation",
    "checkpoints": "test_checkpoints",
    "executors": "test_executors",
    "threads": "test_threads",
    "memory": "test_memory",
    "inputs": "test_bad_inputs",
    "supply-chain": "test_supply_chain",
}


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.reliability", description=__doc__.partition("\n\n")[2])
    parser.add_argument("parts", nargs="*", metavar="part", help=f"which parts to run: {', '.join(PARTS)} (all)")
    parser.add_argument("--quick", action="store_true", help="a tenth of most trials")
    args = parser.parse_args()
    unknown = set(args.parts) - set(PARTS)
    if unknown:
        parser.error(f"there is no part {', '.join(unknown)}: choose from {', '.join(PARTS)}")
    start, found = time.perf_counter(), 0
    for name in args.parts or PARTS:
        for what, trials, wrong in import_module(PARTS[name]).count(args.quick):
            found += wrong
            print(f"{what:70}{trials:>9,}{wrong:>7,} wrong", flush=True)
    print(f"\n{time.perf_counter() - start:,.0f} seconds; {found or 'nothing'} wrong")
    return bool(found)


if __name__ == "__main__":
    faulthandler.enable()  # should something fall out of Python altogether
    os.environ.setdefault("MPLBACKEND", "Agg")
    sys.exit(main())
