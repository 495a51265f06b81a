"""The pages that Sphinx built: whole, readable on a phone, and independent of the network.

``python -m tests.test_docs build/docs`` says what is wrong with the pages in a folder.  Pytest looks at ``build/docs``, or at the
folder named by ``BUILT_DOCS``, and skips that where nothing has been built, and what takes a browser where there is no Chromium.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BUILT = Path(os.environ.get("BUILT_DOCS", ROOT / "build" / "docs"))
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
OPTIONS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
           "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--remote-debugging-port=0",
           "--window-size=1400,1000"]
WIDTHS = [1280, 375]

sys.path.insert(0, str(ROOT / "docs" / "_ext"))
import links  # noqa: E402  (from docs/_ext)

# Opens every page at every width in a frame, and reports what does not fit and which pictures cannot be seen.
CHECK = """<!DOCTYPE html><meta charset="utf-8"><title>check</title><body><script>
async function look(page, width) {
  const frame = document.createElement("iframe");
  frame.width = width; frame.height = 900;
  const loaded = new Promise(resolve => frame.onload = resolve);
  frame.src = page;
  document.body.append(frame);
  await loaded;
  const view = frame.contentWindow, root = frame.contentDocument.documentElement, found = [];
  for (const picture of frame.contentDocument.images) {
    picture.loading = "eager";
    await picture.decode().catch(() => found.push("broken picture " + picture.getAttribute("src")));
  }
  await new Promise(resolve => setTimeout(resolve, 30));
  if (root.scrollWidth > view.innerWidth) {
    const wide = [...frame.contentDocument.querySelectorAll("body *")].filter(
      element => element.getBoundingClientRect().right > view.innerWidth + 1 && !scrolls(element, view));
    const name = wide.length ? wide[0].tagName + "." + wide[0].className + ": " + wide[0].textContent.trim().slice(0, 60) : "?";
    found.push("overflows by " + (root.scrollWidth - view.innerWidth) + " px, at " + name);
  }
  frame.remove();
  return found.map(problem => page + " at " + width + " px: " + problem);
}
function scrolls(element, view) {
  for (; element; element = element.parentElement)
    if (!["HTML", "BODY"].includes(element.tagName) && view.getComputedStyle(element).overflowX != "visible") return true;
}
(async () => {
  const found = [];
  for (const page of PAGES) for (const width of WIDTHS) found.push(...await look(page, width));
  await fetch("/report", {method: "POST", body: JSON.stringify(found)});
})();
</script>"""


class Server(SimpleHTTPRequestHandler):
    """Serves the pages, with a policy that lets the browser fetch nothing from elsewhere and makes it say what it refused."""

    def do_GET(self):
        if self.path == "/check":
            pages = sorted(path.relative_to(self.directory).as_posix() for path in Path(self.directory).rglob("*.html"))
            body = CHECK.replace("PAGES", json.dumps(pages)).replace("WIDTHS", json.dumps(WIDTHS)).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(body)
        else:
            super().do_GET()

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/report":
            self.server.found += body
            self.server.done.set()
        else:
            report = body["csp-report"]
            self.server.found.append(f"{report['document-uri']}: asks the network for {report['blocked-uri']}")
        self.send_response(204)
        self.end_headers()

    def end_headers(self):
        self.send_header("Content-Security-Policy",
                         "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; report-uri /violation")
        super().end_headers()

    def log_message(self, *_):
        pass


def seen_in_browser(folder, seconds=540):
    """What is wrong with the pages in a folder as a browser shows them, on a desk and on a phone."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Server, directory=str(folder)))
    server.found, server.done = [], threading.Event()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        address = f"http://127.0.0.1:{server.server_port}/check"
        browser = subprocess.Popen([CHROMIUM, *OPTIONS, f"--user-data-dir={profile}", address],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            finished = server.done.wait(seconds)
        finally:
            browser.terminate()
            browser.wait()
            server.shutdown()
            server.server_close()
    return sorted(set(server.found)) + [f"not finished after {seconds} s"] * (not finished)


built = pytest.mark.skipif(not (BUILT / "index.html").exists(), reason="no documentation in build/docs")
browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium")


@built
def test_every_link_leads_somewhere_and_no_page_needs_the_network():
    assert links.problems(BUILT) == []


@built
@browser
def test_every_page_fits_and_shows_its_pictures():
    assert seen_in_browser(BUILT) == []


HEALTHY = """<!DOCTYPE html><meta charset="utf-8"><h2 id="here">One</h2><p>Text, and <a href="other.html#there">a link</a>,
<a href="#here">another</a>, <a href="https://example.org/">a third</a>.</p><img alt="" src="data:image/svg+xml,
<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>"><pre style="overflow-x: auto">""" + "long " * 300 + "</pre>"


@pytest.fixture
def site(tmp_path):
    (tmp_path / "index.html").write_text(HEALTHY)
    (tmp_path / "other.html").write_text("<!DOCTYPE html><p id='there'>Two")
    return tmp_path


@pytest.mark.parametrize("planted, problem", [
    ('<a href="missing.html">', "index.html: missing.html does not exist"),
    ('<a href="other.html#missing">', "index.html: other.html#missing leads to no anchor"),
    ('<a href="#missing">', "index.html: #missing leads to no anchor"),
    ('<img src="missing.png">', "index.html: missing.png does not exist"),
    ('<script src="https://example.org/a.js"></script>', "index.html: needs https://example.org/a.js from the network"),
    ('<link rel="stylesheet" href="//example.org/a.css">', "index.html: needs //example.org/a.css from the network"),
])
def test_links_are_checked(site, planted, problem):
    assert links.problems(site) == []
    (site / "index.html").write_text(HEALTHY + planted)
    assert links.problems(site) == [problem]


@browser
def test_pages_are_looked_at(site):
    assert seen_in_browser(site, 60) == []
    (site / "index.html").write_text(HEALTHY + '<p style="width: 500px">wide</p><img src="missing.png">'
                                               '<style>@import "https://example.org/a.css";</style>')
    network, on_the_desk, *on_the_phone = sorted(seen_in_browser(site, 60))
    assert network.endswith("/index.html: asks the network for https://example.org/a.css")
    assert on_the_desk == "index.html at 1280 px: broken picture missing.png"
    assert on_the_phone[0] == "index.html at 375 px: broken picture missing.png"
    assert re.fullmatch(r"index.html at 375 px: overflows by \d+ px, at P.: wide", on_the_phone[1])


@pytest.mark.parametrize("name", ["tensor", "ops", "autodiff"])
def test_annotated_source_leaves_nothing_out(name):
    """Every line of the file is told once: as code, or as prose, or it is blank."""
    pytest.importorskip("sphinx")
    annotated = pytest.importorskip("annotated")
    source = (ROOT / "tinygrad_meta" / f"{name}.py").read_text(encoding="utf-8")
    told = annotated.pieces(source)
    code = [i for piece in told for i in piece.code]
    assert code == sorted(set(code))
    prose = [text for piece in told for text in (piece.heading, *piece.comment, piece.docstring)]
    rest = [line.strip().removeprefix("#").replace('"""', "") for i, line in enumerate(source.splitlines(), 1) if i not in code]
    assert words(prose) == words(rest)


PAGE = """# A page

A formula $x^2$, and a link to [a method](tensor.md#Tensor.detach).

$$\\frac{\\partial F}{\\partial x_2}$$

```{annotated} tinygrad_meta/nothing.py
```
"""
CONF = """extensions = ["myst_parser", "annotated", "mathml", "links"]
myst_enable_extensions = ["dollarmath"]
html_math_renderer = "mathml"
"""


@pytest.mark.parametrize("added, problem", [("", ""), ('\n<a href="missing.html">a link</a>\n', "missing.html does not exist")])
def test_a_small_documentation(tmp_path, added, problem):
    """Annotated source with anchors that Markdown can link to, formulas without scripts, and a build that fails on dead links."""
    for module in ("sphinx", "myst_parser", "latex2mathml"):
        pytest.importorskip(module)
    docs, package = tmp_path / "docs", tmp_path / "tinygrad_meta"
    docs.mkdir()
    package.mkdir()
    shutil.copy(ROOT / "tinygrad_meta" / "tensor.py", package)
    (package / "nothing.py").write_text("# What is said of two\n\nTWO = 2\n")
    (docs / "conf.py").write_text(CONF)
    (docs / "index.md").write_text(PAGE + added)
    (docs / "tensor.md").write_text("---\norphan: true\n---\n# Source\n\n```{annotated} tinygrad_meta/tensor.py\n```\n")
    run = subprocess.run([sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "docs", "built"], cwd=tmp_path,
                         env={**os.environ, "PYTHONPATH": str(ROOT / "docs" / "_ext")}, capture_output=True, text=True,
                         timeout=120)
    assert (run.returncode, problem in run.stderr) == (1 if problem else 0, True), run.stderr
    page = (tmp_path / "built" / "index.html").read_text(encoding="utf-8")
    assert 'href="tensor.html#Tensor.detach"' in page
    assert "<mfrac>" in page and "MathJax" not in page
    assert "<p>What is said of two</p>" in page


def words(texts):
    """In any order, and without lines of dashes."""
    return sorted(word for word in " ".join(texts).split() if word.strip("-"))


def main(folder):
    found = links.problems(folder) + (seen_in_browser(folder) if CHROMIUM else ["no Chromium: the pages were not looked at"])
    print(*found or ["Every page is whole, at every width, without a network."], sep="\n")
    return len(found) > 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else BUILT)))
