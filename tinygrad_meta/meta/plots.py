"""The pictures of experiments.  The colours are those of Okabe and Ito, which colour-blind readers can tell apart."""

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
    before = [summary.mean[0] for summary in errors.values() if summary.mean[0] > 0]
    axes.set_ylim(top=min(axes.get_ylim()[1], 3 * max(before, default=np.inf)))  # not to show divergence and nothing else
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


FAMILY_COLORS = {"optimisation": "#0072B2", "metric": "#009E73", "model": "#E69F00", "baseline": "#999999"}
PER_ROW = 5  # panels


def plot_comparison(path, rows, measure):
    """One bar per method with its 95 % confidence interval, in the colour of its family.

    Parameters
    ----------
    path : path of the picture
    rows : dict ``{method: object with family, value and interval}``
    measure : str
        What the values are.
    """
    figure = Figure(figsize=(7, 1.2 + 0.36 * len(rows)), layout="constrained")
    axes = figure.subplots()
    for position, (method, row) in enumerate(rows.items()):
        axes.barh(position, row.value, xerr=row.interval, color=FAMILY_COLORS[row.family], label=row.family)
    axes.set(yticks=range(len(rows)), yticklabels=list(rows), xlabel=f"{measure}, with 95 % confidence interval")
    axes.invert_yaxis()
    axes.grid(axis="x", alpha=0.3)
    handles = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    figure.legend(handles.values(), handles, loc="outside lower center", ncols=4, frameon=False)
    figure.savefig(path, dpi=150)


def plot_learners(path, task, predictions):
    """What every method makes of the same sine task, one panel each.

    Parameters
    ----------
    path : path of the picture
    task : TaskBatch of one task, whose query set is a fine grid
    predictions : dict ``{method: prediction on the grid}``
    """
    rows = -(-len(predictions) // PER_ROW)
    figure = Figure(figsize=(2.6 * PER_ROW, 2.4 * rows + 0.6), layout="constrained")
    panels = figure.subplots(rows, PER_ROW, sharex=True, sharey=True, squeeze=False).ravel()
    (support_x, support_y), (x, y) = ([np.ravel(each) for each in pair] for pair in (task.support, task.query))
    for axes, (method, prediction) in zip(panels, predictions.items(), strict=False):
        axes.plot(x, y, color="black", linewidth=1, label="truth")
        axes.plot(x, np.ravel(prediction), color="#0072B2", linewidth=2, label="prediction")
        axes.plot(support_x, support_y, "o", color="#D55E00", markersize=4, label="support points", zorder=3)
        axes.set_title(method, fontsize=10)
        axes.grid(alpha=0.3)
    for axes in panels[len(predictions) :]:
        axes.set_axis_off()
    for axes in panels[len(predictions) - PER_ROW : len(predictions)]:
        axes.tick_params(labelbottom=True)  # the lowest of their columns
    reach = 1.3 * np.abs(y).max()
    panels[0].set_ylim(-reach, reach)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    figure.savefig(path, dpi=150)


def plot_episode(path, task, predictions, title):
    """A few-shot task as a grid of images: a row per class, its support images first, then its query images.

    Query images that were put into another class are framed, and that class's number stands above them.

    Parameters
    ----------
    path : path of the picture
    task : ImageBatch of one task
    predictions : array
        The label given to each query image.
    title : str
    """
    (support_x, support_y), (query_x, query_y) = ((x[0], y[0]) for x, y in (task.support, task.query))
    classes, queries = support_y.max() + 1, np.bincount(query_y).max()
    ways = min(classes, 10)  # a picture of more could not be read
    shots = np.bincount(support_y).max()
    figure = Figure(figsize=(0.8 * (shots + queries) + 0.8, 0.85 * ways + 0.6), layout="constrained")
    panels = figure.subplots(ways, shots + queries, squeeze=False)
    for label, row in enumerate(panels):
        mine = query_y == label
        for axes in row:
            axes.set(xticks=[], yticks=[])
            axes.axis("off")
        for axes, image in zip(row, support_x[support_y == label], strict=False):
            show(axes, image, "#0072B2")
        for axes, image, predicted in zip(row[shots:], query_x[mine], predictions[mine], strict=False):
            show(axes, image, None if predicted == label else "#D55E00")
            if predicted != label:
                axes.set_title(f"as {predicted + 1}", fontsize=8, color="#D55E00", pad=2)
        row[0].set_title(f"{label + 1}", fontsize=8, pad=2)
    figure.suptitle(title + f" (the first {ways} of {classes} classes)" * bool(classes > ways), fontsize=10, wrap=True)
    figure.savefig(path, dpi=150)


def plot_run(path, run, answers, title):
    """A run of the one-shot test: above each query image the support image that was chosen, framed where it is the wrong one.

    Parameters
    ----------
    path : path of the picture
    run : ImageBatch of one task, with one support image per class
    answers : array
        The class given to each query image.
    title : str
    """
    (support_x, support_y), (query_x, query_y) = ((x[0], y[0]) for x, y in (run.support, run.query))
    by_class = support_x[np.argsort(support_y)]
    columns = 10
    blocks = -(-len(query_x) // columns)
    figure = Figure(figsize=(0.9 * columns, 3 * blocks + 0.5), layout="constrained")
    panels = figure.subplots(3 * blocks, columns, squeeze=False)
    for axes in panels.ravel():
        axes.set(xticks=[], yticks=[])
        axes.axis("off")
    for i, (image, answer, label) in enumerate(zip(query_x, answers, query_y, strict=True)):
        rows = panels[3 * (i // columns) : 3 * (i // columns) + 3, i % columns]
        show(rows[0], image, None)
        show(rows[1], by_class[answer], None if answer == label else "#D55E00")
        if answer != label:
            show(rows[2], by_class[label], "#009E73")
    for block in range(blocks):
        for row, text in enumerate(("new", "answer", "right")):
            panels[3 * block + row, 0].set_title(text, fontsize=8, loc="left", pad=2)
    figure.suptitle(title, fontsize=10)
    figure.savefig(path, dpi=150)


def show(axes, image, frame):
    axes.imshow(image, cmap="gray_r", vmin=0, vmax=1)
    if frame:
        axes.axis("on")
        for spine in axes.spines.values():
            spine.set(color=frame, linewidth=2)


def plot_embeddings(path, labels, embeddings):
    """Where images lie before and after training: each panel shows the two directions in which its points vary most.

    Parameters
    ----------
    path : path of the picture
    labels : array of shape (points,)
    embeddings : dict ``{title: array of shape (points, features)}``
    """
    figure = Figure(figsize=(4.2 * len(embeddings), 4.2), layout="constrained")
    for axes, (title, points) in zip(figure.subplots(1, len(embeddings), squeeze=False)[0], embeddings.items(), strict=True):
        points = points - points.mean(axis=0)
        across = points @ np.linalg.svd(points, full_matrices=False)[2][:2].T  # principal components
        axes.scatter(*across.T, c=labels, cmap="tab10" if np.ptp(labels) < 10 else "gist_rainbow", s=18)
        axes.set(title=title, xticks=[], yticks=[])
    figure.suptitle("Images of new classes, a colour each, by the two main directions of their embedding")
    figure.savefig(path, dpi=150)
