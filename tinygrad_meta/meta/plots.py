"""The two pictures of an experiment.  The colours are those of Okabe and Ito, which colour-blind readers can tell apart."""

import numpy as np
from matplotlib.figure import Figure

STYLES = {  # of a method: colour, marker, line
    "MAML": ("#0072B2", "o", "-"),
    "first-order": ("#56B4E9", "s", "--"),
    "pre-trained": ("#D55E00", "^", "-"),
    "random": ("#999999", "v", "-"),
    "oracle": ("#009E73", "", ":"),
}
STEP_COLORS = ("#999999", "#E69F00", "#0072B2")


def plot_errors(path, errors):
    """Error against gradient steps, with 95 % confidence intervals.

    Parameters
    ----------
    path : path of the picture
    errors : dict ``{method: Summary}``
    """
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for method, summary in errors.items():
        color, marker, line = STYLES[method]
        if len(summary.mean) == 1:
            axes.axhline(summary.mean[0], color=color, linestyle=line, label=f"{method} (no adaptation)")
            continue
        finite = np.isfinite(summary.mean)
        steps, mean, interval = np.flatnonzero(finite), summary.mean[finite], summary.interval[finite]
        axes.plot(steps, mean, color=color, marker=marker, linestyle=line, label=method)
        axes.fill_between(steps, mean - interval, mean + interval, color=color, alpha=0.2, linewidth=0)
    axes.set(xlabel="gradient steps on the support set", ylabel="mean squared error on the query set", yscale="log",
             xticks=range(max(len(summary.mean) for summary in errors.values())))
    axes.grid(alpha=0.3)
    figure.legend(loc="outside right upper", frameon=False)
    figure.savefig(path, dpi=150)


def plot_predictions(path, task, predictions):
    """Predictions on one task before and after adaptation, one panel per method.

    Parameters
    ----------
    path : path of the picture
    task : TaskBatch of one task
    predictions : dict ``{method: {gradient steps: prediction on the task's query inputs}}``
    """
    figure = Figure(figsize=(5 * len(predictions), 4.2), layout="constrained")
    panels = figure.subplots(1, len(predictions), sharey=True, squeeze=False)[0]
    (support_x, support_y), (x, y) = ([np.ravel(each) for each in pair] for pair in (task.support, task.query))
    for axes, (method, after) in zip(panels, predictions.items(), strict=True):
        axes.plot(x, y, color="black", linewidth=2, label="truth")
        for (steps, prediction), color, line in zip(after.items(), STEP_COLORS, (":", "--", "-"), strict=True):
            axes.plot(x, np.ravel(prediction), color=color, linestyle=line, linewidth=2,
                      label=f"{steps} gradient step{'s' * (steps != 1)}")
        axes.plot(support_x, support_y, "o", color="#D55E00", label="support points", zorder=3)
        axes.set(title=method, xlabel="x")
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("y")
    amplitude, phase = task.amplitude.item(), task.phase.item()
    figure.suptitle(f"A new task: y = {amplitude:.2f} sin(x + {phase:.2f}), from {len(support_x)} points")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=5, frameon=False)
    figure.savefig(path, dpi=150)
