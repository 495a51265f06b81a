"""The benchmark's own arithmetic and its output; the figures themselves are for machines with nothing else to do."""

import json
import os
import sys
import time

import numpy as np
import pytest
from test_cli import run

from tinygrad_meta import bench


@pytest.fixture(autouse=True)
def short(monkeypatch):
    """Our own contenders, few calls, in this process."""
    for name, value in bench.ONE_THREAD.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(bench, "CALLS", 5)
    monkeypatch.setattr(bench, "CONTENDERS", {name: bench.CONTENDERS[name] for name in ("compiled", "eager")})


def test_every_workload_is_measured_printed_and_saved(tmp_path, capsys):
    assert run("bench", "--quick", "--json", tmp_path / "new" / "bench.json") == 0
    printed, found = capsys.readouterr().out, json.loads((tmp_path / "new" / "bench.json").read_text())
    assert found["machine"]["cores"] == os.cpu_count() and found["versions"]["numpy"] == np.__version__
    assert list(found["workloads"]) == list(bench.WORKLOADS)
    for label, contenders in found["workloads"].items():
        assert f"\n{label} " in printed
        assert list(contenders) == ["compiled", "eager"]
        for figures in contenders.values():
            assert 1 <= figures["calls"] < bench.CALLS + bench.TURN and 0 < figures["minimum_ms"] <= figures["median_ms"]
            assert figures["ratio_of_medians"] == figures["median_ms"] / contenders["compiled"]["median_ms"]


def test_ctrl_c_keeps_the_rows_before_it(tmp_path, monkeypatch):
    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr(bench, "WORKLOADS", {"1 task": lambda: bench.MetaGradient(tasks=1), "next": interrupted})
    assert run("bench", "--quick", "--json", tmp_path / "bench.json") == 130
    assert list(json.loads((tmp_path / "bench.json").read_text())["workloads"]) == ["1 task"]


def test_what_is_not_installed_is_left_out_with_a_line_that_says_so(monkeypatch, capsys):
    monkeypatch.setitem(bench.CONTENDERS, "jax", ("a_package_that_nobody_has", ""))
    monkeypatch.setattr(bench, "WORKLOADS", {"1 task": lambda: bench.MetaGradient(tasks=1)})
    bench.bench(quick=True)
    assert "jax            left out: a_package_that_nobody_has is not installed" in capsys.readouterr().out


def test_what_cannot_be_compiled_is_left_out_with_the_reason(monkeypatch, capsys):
    def eager(self):
        raise RuntimeError("no compiler\nand many more lines")

    monkeypatch.setattr(bench.MetaGradient, "eager", eager)
    monkeypatch.setattr(bench, "WORKLOADS", {"1 task": lambda: bench.MetaGradient(tasks=1)})
    bench.bench()
    assert "eager          left out: RuntimeError: no compiler\n" in capsys.readouterr().out


def test_other_results_are_an_error(monkeypatch):
    monkeypatch.setattr(bench.MetaGradient, "eager", lambda self: lambda: [1.01 * g.data for g in self.compiled()()])
    with pytest.raises(AssertionError, match=r"eager and compiled differ by 1\.0e-02"):
        bench.prepare(bench.MetaGradient(tasks=1), {}, print)


def test_slow_contenders_are_called_less_often():
    calls = bench.measure({"slow": lambda: time.sleep(0.05), "fast": lambda: None}, seconds=0.04)
    assert len(calls["slow"]) == 1 < len(calls["fast"])


def test_after_a_long_call_it_is_another_ones_turn():
    order = []

    def slow():
        order.append("slow")
        time.sleep(2 * bench.LONG)

    bench.measure({"slow": slow, "fast": lambda: order.append("fast")}, seconds=5 * bench.LONG)
    assert order[: bench.TURN + 2] == ["slow", *["fast"] * bench.TURN, "slow"]


def test_the_process_is_replaced_by_one_with_one_thread(monkeypatch):
    def replaced(program, words, environment):
        started.append((words, environment))
        raise SystemExit

    started = []
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    monkeypatch.setattr(bench.os, "execve", replaced)
    with pytest.raises(SystemExit):
        bench.restart_on_one_thread()
    [(words, environment)] = started
    assert words[1:] == sys.orig_argv[1:] and environment["OMP_NUM_THREADS"] == "1"


@pytest.mark.parametrize("name", ["torch", "torch_func", "jax", "autograd"])
@pytest.mark.parametrize("workload", [bench.MetaGradient, bench.MetaTraining, bench.TrainingStep])
def test_peers_agree_where_they_are_installed(name, workload, monkeypatch):
    if not getattr(workload, name, None):
        pytest.skip("this workload has no such contender")
    pytest.importorskip(name.split("_")[0])
    monkeypatch.setitem(bench.CONTENDERS, name, ("", ""))
    assert name in bench.prepare(workload(), {}, print)
