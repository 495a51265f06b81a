"""Pictures: what is in them, that they can be read, and that the film of one can be played in a browser."""

import math
import re
import shutil
import subprocess
import time

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch
from matplotlib.text import Text
from PIL import Image

import tinygrad_meta as tg
from tinygrad_meta.graph.draw import COLORS, layout, new_figure, visible_boxes

RNG = np.random.default_rng(0)


def inputs(**values):
    return [tg.tensor(value, requires_grad=True, name=name) for name, value in values.items()]


def slide():
    x1, x2 = inputs(x1=2.0, x2=3.0)
    return (x1 + x2) * (x2 + 1)


def network_loss(params, x, y):
    W1, b1, W2, b2 = params
    return tg.nn.mse_loss(tg.tanh(x @ W1 + b1) @ W2 + b2, y)


def parameters():
    return inputs(W1=RNG.normal(size=(1, 4)), b1=np.zeros((1, 4)), W2=RNG.normal(size=(4, 1)), b2=np.zeros((1, 1)))


def network():
    return network_loss(parameters(), np.ones((3, 1)), np.ones((3, 1)))


def maml(steps=2):
    x, y = tg.tensor(RNG.normal(size=(3, 1)), name="x"), tg.tensor(RNG.normal(size=(3, 1)), name="y")
    params = parameters()
    for step in range(1, steps + 1):
        with tg.graph.scope(f"inner step {step}"):
            gradients = tg.grad(network_loss(params, x, y), params, create_graph=True)
            params = [p - 0.01 * g for p, g in zip(params, gradients, strict=True)]
    with tg.graph.scope("query loss"):
        return network_loss(params, x, y)


def sixty():
    values = inputs(**{f"x{i}": 1.0 + i for i in range(6)})
    for i in range(54):
        values.append(values[-1 - i % 3] * values[-6 + i % 4] if i % 2 else tg.sin(values[-1]) + values[-5])
    return values[-1]


GRAPHS = {
    "slide": (slide, {}),
    "slide without gradients": (slide, {"gradients": False}),
    "gradient": (slide, {"order": 2}),
    "second derivative of tanh": (lambda: tg.tanh(inputs(x=0.5)[0]), {"order": 3}),
    "network": (network, {}),
    "gradient of the network": (network, {"order": 2}),
    "maml": (maml, {}),
    "maml folded": (maml, {"fold": True}),
    "maml, gradients folded": (maml, {"fold": "backward"}),
    "meta-gradient": (lambda: maml(1), {"order": 2}),
    "meta-gradient folded": (maml, {"order": 2, "fold": True}),
    "sixty": (sixty, {}),
}


def arrows(frame):
    inner = [arrow for box in frame.members if box.members and not box.folded for arrow in arrows(box)]
    return inner + [(edge.start, edge.end) for edge in frame.edges]


def written(box):
    return [text for row in box.rows for text in row if text]


def test_the_slide():
    root = layout(slide())
    texts = {box.rows[0][0]: (box.symbol, box.rows[0][1]) for box in visible_boxes(root)}
    assert texts == {"x1 = 2": ("", "dF/dx1 = v2 = 4"), "x2 = 3": ("", "dF/dx2 = v1 + v2 = 9"),
                     "v1 = 5": ("+", "dF/dv1 = v2 = 4"), "v2 = 4": ("+ 1", "dF/dv2 = v1 = 5"), "v3 = 20": ("×", "dF/dv3 = 1")}
    names = sorted([(source.rows[0][0][:2], target.rows[0][0][:2]) for source, target in arrows(root)])
    assert names == [("v1", "v3"), ("v2", "v3"), ("x1", "v1"), ("x2", "v1"), ("x2", "v2")]
    flowing_back = {(edge.start.rows[0][0][:2], edge.end.rows[0][0][:2]): edge.text for edge in root.edges}
    assert flowing_back == {("v1", "v3"): "4", ("v2", "v3"): "5", ("x1", "v1"): "4", ("x2", "v1"): "4", ("x2", "v2"): "5"}


def test_inputs_are_left_of_results_and_first_inputs_above_second_ones():
    root = layout(slide())
    for edge in root.edges:
        assert all([a[0] <= b[0] + 1e-9 for a, b in zip(edge.route, edge.route[1:], strict=False)])
    x, y = inputs(x=1.0, y=2.0)
    first, second = sorted(layout(x - y).edges, key=lambda edge: edge.route[-1][1])
    assert first.tensor is x and second.tensor is y


@pytest.mark.parametrize("name", GRAPHS)
def test_text_never_overlaps_a_box(name):
    make, options = GRAPHS[name]
    figure, _ = new_figure(layout(make(), **options))
    renderer = figure.canvas.get_renderer()
    axes = figure.axes[0]
    texts = [text for text in axes.texts if text.get_text()]
    extents = [text.get_window_extent(renderer) for text in texts]
    boxes = [p.get_window_extent(renderer) for p in axes.patches if not isinstance(p, FancyArrowPatch)]
    picture = figure.bbox
    for text, extent in zip(texts, extents, strict=True):
        assert picture.x0 <= extent.x0 and extent.x1 <= picture.x1 and picture.y0 <= extent.y0 and extent.y1 <= picture.y1
        for box in boxes:
            inside = box.x0 <= extent.x0 and extent.x1 <= box.x1 and box.y0 <= extent.y0 and extent.y1 <= box.y1
            assert inside or not extent.overlaps(box), text.get_text()
    for i, a in enumerate(extents):
        for b, text in zip(extents[:i], texts, strict=False):
            overlap = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
            assert min(overlap) < 1, (texts[i].get_text(), text.get_text())


@pytest.mark.parametrize("name", GRAPHS)
def test_boxes_stand_inside_their_frame_and_beside_each_other(name):
    make, options = GRAPHS[name]

    def look(frame):
        boxes = [box for box in frame.members if box.width]
        for i, a in enumerate(boxes):
            assert 0 <= a.x and a.x + a.width <= frame.width + 1e-6
            assert -1e-6 <= a.y - a.height / 2 and a.y + a.height / 2 <= frame.height + 1e-6
            for b in boxes[:i]:
                assert (a.x + a.width <= b.x or b.x + b.width <= a.x or a.y + a.height / 2 <= b.y - b.height / 2
                        or b.y + b.height / 2 <= a.y - a.height / 2)
            if a.members and not a.folded:
                look(a)

    look(layout(make(), **options))


def test_sixty_boxes_take_less_than_two_seconds(tmp_path):
    F = sixty()
    tg.graph.draw(slide(), tmp_path / "first.png")  # loads matplotlib and its fonts
    start = time.perf_counter()
    tg.graph.draw(F, tmp_path / "sixty.png")
    assert time.perf_counter() - start < 2


@pytest.mark.parametrize("ending, begin", [("svg", b"<?xml"), ("png", b"\x89PNG")])
def test_files(tmp_path, ending, begin):
    tg.draw(slide(), tmp_path / f"graph.{ending}")
    assert (tmp_path / f"graph.{ending}").read_bytes().startswith(begin)


def test_axes():
    axes = Figure(figsize=(3, 2)).add_subplot()
    tg.graph.draw(slide(), axes)
    assert {"v1 = 5", "dF/dx2 = v1 + v2 = 9"} <= {text.get_text() for text in axes.findobj(Text)}
    assert axes.texts[0].get_fontsize() < 9  # smaller axes, smaller letters


# ------------------------------------------------------------------------------------------------ passes and scopes


def depths(F, **options):
    return {box.depth for box in visible_boxes(layout(F, **options))}


def test_passes_are_told_apart():
    (x,) = inputs(x=0.5)
    (first,) = tg.grad(tg.tanh(x), x, create_graph=True)
    (second,) = tg.grad(first, x, create_graph=True)
    assert depths(tg.tanh(x)) == {0}
    assert depths(first) == depths(tg.tanh(x), order=2) == {0, 1}
    assert depths(first * second) == depths(tg.tanh(x), order=3) == {0, 1, 2}
    assert len(set(COLORS[:3])) == 3


def test_inner_backward_passes_are_of_depth_1_and_the_meta_gradient_of_depth_2():
    F = maml()
    assert depths(F) == {0, 1}
    assert depths(F, order=2) == {0, 1, 2}
    assert depths(F, order=2) == {0, 1, 2}  # the pass made for the first picture is not in the second


def test_gradients_of_higher_order_are_named():
    x, y = inputs(x=2.0, y=3.0)
    texts = [text for box in visible_boxes(layout(x * x * y, order=3)) for text in written(box)]
    assert {"dF/dx = 12", "dF/dy = 4", "d²F/dxdx = 6", "d²F/dxdy = 4"} <= set(texts)


def test_one_tensor_that_is_several_derivatives_has_all_their_names():
    x, y = inputs(x=2.0, y=3.0)
    texts = [text for box in visible_boxes(layout(tg.sin(x + y), order=2)) for text in written(box)]
    assert "dF/dv1 = dF/dy = dF/dx = 0.2837" in texts


def test_scopes_are_framed_and_folded():
    root = layout(maml())
    frames = [box for box in root.members if box.title]
    assert [frame.title for frame in frames] == ["inner step 1", "inner step 2", "query loss"]
    assert [box.title for box in frames[0].members if box.title] == ["backward"]

    root = layout(maml(), fold="inner step 1")
    (folded,) = [box for box in visible_boxes(root) if box.folded]
    assert folded.title == "inner step 1" and len(folded.rows) == 4  # the adapted parameters
    assert all([row[1] for row in folded.rows])                      # and the meta-gradient by them

    root = layout(maml(), fold=True)
    assert [box.title for box in visible_boxes(root) if box.title] == ["inner step 1", "inner step 2", "query loss"]
    assert len(visible_boxes(root)) == 3 + 4 + 2


def test_scopes_are_not_forgotten_for_backward_passes():
    F = maml()
    for _ in range(60):
        (x,) = inputs(x=2.0)
        tg.grad(x * x, x, create_graph=True)
    assert [box.title for box in layout(F).members if box.title] == ["inner step 1", "inner step 2", "query loss"]


def test_a_leaf_is_one_box(tmp_path):
    (x,) = inputs(x=2.0)
    assert [box.title for box in visible_boxes(layout(x))] == [""]
    tg.graph.draw(x, tmp_path / "x.svg")


def test_scopes_nest_and_end_after_errors():
    (x,) = inputs(x=2.0)
    with tg.graph.scope("outer"):
        y = x * x
        with pytest.raises(ZeroDivisionError), tg.graph.scope("inner"):
            y = tg.sin(y)
            1 / 0  # noqa: B018
        y = y + x
    (outer,) = [box for box in layout(y + 1).members if box.title]
    assert [box.title for box in outer.members if box.title] == ["inner"]


ERRORS = [
    (lambda path: tg.graph.draw(slide(), path / "graph.doc"), ValueError, r"ending in \.svg or \.png"),
    (lambda path: tg.graph.animate(slide(), path / "graph.svg"), ValueError, r"ending in \.html or \.gif"),
    (lambda path: tg.graph.draw(3.0, path / "graph.svg"), TypeError, "of type float"),
    (lambda path: tg.graph.draw(tg.tensor(1.0) * 2, path / "graph.svg"), ValueError, "requires_grad=True"),
    (lambda path: tg.graph.draw(slide(), path / "graph.svg", order=0), ValueError, "order is 1"),
    (lambda path: tg.graph.draw(slide(), path / "graph.svg", fold="step"), ValueError, "there is no scope 'step'"),
    (lambda path: tg.graph.draw(maml(12), path / "graph.svg"), ValueError, "fold=True"),
    (lambda path: tg.graph.scope(3).__enter__(), TypeError, "a scope has a name"),
]


@pytest.mark.parametrize("call, error, message", ERRORS, ids=[message for _, _, message in ERRORS])
def test_errors(call, error, message, tmp_path):
    with pytest.raises(error, match=message):
        call(tmp_path)


# --------------------------------------------------------------------------------------------------------- the film

STEPS = ["the inputs", "forward: v1 = x1 + x2 = 5", "forward: v2 = x2 + 1 = 4", "forward: v3 = v1 × v2 = 20",
         "backward: dF/dv3 = 1", "backward: dF/dv2 = v1 = 5", "backward: dF/dv1 = v2 = 4", "backward: dF/dx2 = 4 + 5 = 9",
         "backward: dF/dx1 = v2 = 4"]  # fmt: skip


def test_moving_picture(tmp_path):
    tg.graph.animate(slide(), tmp_path / "graph.gif")
    with Image.open(tmp_path / "graph.gif") as film:
        assert film.n_frames == len(STEPS)


def test_page_needs_nothing_but_itself(tmp_path):
    tg.graph.animate(maml(), tmp_path / "graph.html", fold=True)
    page = (tmp_path / "graph.html").read_text("utf-8")
    assert not re.search(r"(src|href)\s*=\s*[\"']?(https?:)?//", page)


PRESS = """<script>
const seen = [], key = name => document.dispatchEvent(new KeyboardEvent("keydown", {key: name}));
const look = () => seen.push(element("caption").textContent);
look(); key("ArrowRight"); look(); element("step").click(); look(); element("back").click(); look(); key("ArrowLeft"); look();
key("End"); look(); key("Home"); look(); key(" ");
setTimeout(() => { look(); element("play").click(); setTimeout(() => { look();
  document.body.innerHTML = "<ol><li>" + seen.join("<li>") + "</ol>" + (element("picture") === null); }, 3000) }, 3000);
</script></html>"""


def test_playing_and_stepping_in_a_browser(tmp_path):
    browser = next(filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])), None)
    if browser is None:
        pytest.skip("no Chromium is installed")
    tg.graph.animate(slide(), tmp_path / "graph.html")
    page = (tmp_path / "graph.html").read_text("utf-8").replace("</html>", PRESS)
    (tmp_path / "pressed.html").write_text(page, "utf-8")
    run = subprocess.run([browser, "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=20000", "--dump-dom",
                          f"--user-data-dir={tmp_path / 'profile'}", (tmp_path / "pressed.html").as_uri()],
                         capture_output=True, text=True, timeout=120)
    seen = re.findall(r"<li>([^<]*)", run.stdout.split("<ol>")[-1])
    assert seen == [STEPS[i] for i in (0, 1, 2, 1, 0, -1, 0, 2, 2)], run.stderr


@pytest.mark.parametrize("results", [3, 4, 5, 9])
def test_a_folded_scope_is_drawn_however_many_results_leave_it(tmp_path, results):
    x = tg.tensor(2.0, requires_grad=True, name="x")
    with tg.graph.scope("several"):
        parts = [x * float(i) for i in range(2, 2 + results)]
    tg.draw(math.prod(parts), tmp_path / "folded.svg", fold=True)
    assert "several" in (tmp_path / "folded.svg").read_text(encoding="utf-8")
