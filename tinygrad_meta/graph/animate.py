"""The picture of a graph, as a film: the forward pass value by value, then the gradient on its way back."""

from io import BytesIO

from .draw import GRADIENT, INK, check_ending, layout, new_figure, visible_boxes

PAGE = """<!DOCTYPE html>
<html lang="en"><meta charset="utf-8"><title>Forward and backward</title>
<style>
  body { font: 16px sans-serif; margin: 1em; text-align: center }
  img { max-width: 100%; max-height: 75vh }
  button { font-size: 1.1em; min-width: 4em } input { width: 50% }
</style>
<img id="picture" alt=""><p id="caption" aria-live="polite"></p>
<p><button id="back">&#9664; back</button> <button id="play">play</button> <button id="step">step &#9654;</button></p>
<p><input id="slider" type="range" min="0" value="0" aria-label="step"> <span id="number"></span></p>
<p><small>Keys: left and right arrow, space to play, Home and End</small></p>
<script>
const pictures = PICTURES, captions = CAPTIONS, last = pictures.length - 1;
const element = id => document.getElementById(id);
let current = 0, timer = null;
function show(i) {
  current = Math.max(0, Math.min(last, i));
  element("picture").src = "data:image/png;base64," + pictures[current];
  element("picture").alt = element("caption").textContent = captions[current];
  element("slider").value = current;
  element("number").textContent = (current + 1) + " of " + (last + 1);
  if (current == last) pause();
}
function pause() { clearInterval(timer); timer = null; element("play").textContent = "play"; }
function play() {
  if (timer) return pause();
  if (current == last) show(0);
  timer = setInterval(() => show(current + 1), 1200);
  element("play").textContent = "pause";
}
function step(by) { pause(); show(current + by); }
const keys = {
  ArrowRight: () => step(1), ArrowLeft: () => step(-1), " ": play, Home: () => step(-last), End: () => step(last)
};
element("slider").max = last;
element("slider").oninput = event => { pause(); show(+event.target.value); };
element("back").onclick = () => step(-1);
element("step").onclick = () => step(1);
element("play").onclick = play;
document.addEventListener("keydown", event => { if (keys[event.key]) { event.preventDefault(); keys[event.key](); } });
show(0);
</script></html>
"""


def animate(F, path, fold=()):
    """Show the forward and then the backward pass of ``F``, one value after the other.

    Parameters
    ----------
    F : Tensor
        Computed from something that requires a gradient.
    path : path ending in .html or .gif
        A web page that needs nothing but itself, with buttons and keys to play, step and go back; or a moving picture.
    fold : name, names or True
        As for :func:`draw`.

    Examples
    --------
    >>> import tinygrad_meta as tg
    >>> x = tg.tensor(2.0, requires_grad=True, name="x")
    >>> tg.graph.animate(x * tg.sin(x), "x_sin_x.html")  # doctest: +SKIP
    """
    check_ending(path, (".html", ".gif"))
    captions, pictures = film(F, fold)
    if str(path).endswith(".html"):
        from base64 import b64encode
        from json import dumps

        page = PAGE.replace("CAPTIONS", dumps(captions).replace("<", "\\u003c"))
        with open(path, "w", encoding="utf-8") as file:
            file.write(page.replace("PICTURES", dumps([b64encode(picture).decode() for picture in pictures])))
    else:
        from PIL import Image  # comes with matplotlib

        first, *others = [Image.open(BytesIO(picture)).convert("RGB") for picture in pictures]
        first.save(path, save_all=True, append_images=others, duration=[1200] * len(others) + [4000], loop=0)


def film(F, fold):
    """The captions and the pictures, as the bytes of PNG files."""
    root = layout(F, True, 1, fold)
    steps = script(root)
    figure, artists = new_figure(root, [(max([caption for caption, _, _ in steps], key=len), INK)])
    (caption_artist,), (swatch,) = artists.pop("footer"), artists.pop("legend")
    swatch.remove()
    pictures, shown = [], set()
    for caption, keys, focus in steps:
        shown |= set(keys)
        for key, group in artists.items():
            for artist in group:
                hide(artist, key is not None and key not in shown, key is not None and key in focus)
        caption_artist.set_text(caption)
        caption_artist.set_color(GRADIENT if caption.startswith("backward") else INK)
        pictures.append(picture_of(figure))
    return [caption for caption, _, _ in steps], pictures


def hide(artist, hidden, focus):
    """Before its turn a value is not written yet, and shapes are faint; at its turn they are drawn with a heavy line."""
    if hasattr(artist, "set_text"):
        artist.set_visible(not hidden)
        artist.set_fontweight("bold" if focus else "normal")
    else:
        artist.set_alpha(0.15 if hidden else None)
        artist.set_linewidth(2.5 if focus else 1.1)


def picture_of(figure):
    file = BytesIO()
    figure.savefig(file, dpi=120, format="png")
    return file.getvalue()


def script(root):
    """The steps: a caption, what is shown from here on, and what it is about."""
    boxes = sorted(visible_boxes(root), key=lambda box: box.interval[1] if box.tensor is None else box.tensor.order)
    edges = all_edges(root)
    inputs = [box for box in boxes if not box.symbol and not box.title]
    steps = [("the inputs", inputs, inputs)]
    for box in boxes:
        if box not in inputs:
            value = box.rows[0][0] if box.rows else ""
            text = box.formula or box.title
            if " = " in value and box.formula:
                text = value.replace(" = ", f" = {box.formula} = ", 1)
            arriving = [edge for edge in edges if edge.end is box]
            steps.append((f"forward: {text}", [box, *arriving], [box, *arriving]))
    for box in reversed(boxes):
        gradients = [row[1] for row in box.rows if row[1]]
        if gradients:
            leaving = [edge for edge in edges if edge.start is box and edge.text]
            derivative, value = gradients[0].split(" = ")[0], gradients[0].split(" = ")[-1]
            terms = " + ".join([edge.text for edge in leaving])
            text = f"{derivative} = {terms} = {value}" if len(leaving) > 1 and "‖" not in terms else ",  ".join(gradients)
            keys = [(box, "gradient"), *[(edge, "gradient") for edge in leaving]]
            steps.append((f"backward: {text}", keys, keys))
    return steps


def all_edges(frame):
    return frame.edges + [edge for box in frame.members if box.members and not box.folded for edge in all_edges(box)]
