"""After a build: does every link lead somewhere, and can every page be read without a network?

Every link, picture, script and style of every page is looked up among the files that were built, anchors included.  What a page
would fetch from elsewhere counts as an error; a link that a reader may follow elsewhere does not, and is not tried.  Errors are
warnings of the build, so under ``sphinx-build -W`` they fail it.
"""

from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

FETCHED = {"img": ("src", "srcset"), "script": ("src",), "link": ("href",), "iframe": ("src",), "source": ("src", "srcset"),
           "video": ("src", "poster"), "audio": ("src",), "object": ("data",), "embed": ("src",)}


class Page(HTMLParser):
    """The anchors of a page, the links that it offers and the files that it needs."""

    def __init__(self, text):
        super().__init__()
        self.anchors, self.links, self.needs = set(), [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = {name: value or "" for name, value in attributes}
        self.anchors |= {attributes[name] for name in ("id", "name") if name in attributes}
        if tag == "a" and "href" in attributes:
            self.links.append(attributes["href"])
        for name in FETCHED.get(tag, ()):
            if name in attributes and attributes.get("rel") not in ("canonical", "index", "search", "next", "prev"):
                candidates = attributes[name].split(",") if name == "srcset" else [attributes[name]]
                self.needs += [candidate.split()[0] for candidate in candidates if candidate.split()]


def problems(folder):
    """What is wrong with the pages in a folder: one line per dead link, missing file, and request to the network."""
    folder, found = Path(folder).resolve(), []
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in sorted(folder.rglob("*.html"))}
    for path, page in pages.items():
        here = path.relative_to(folder)
        for address in page.needs + page.links:
            parts = urlsplit(address)
            if parts.scheme == "data" or (parts.scheme or parts.netloc) and address in page.links:
                continue
            if parts.scheme or parts.netloc:
                found.append(f"{here}: needs {address} from the network")
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            anchor = unquote(parts.fragment)
            if not target.is_file():
                found.append(f"{here}: {address} does not exist")
            elif anchor and target in pages and anchor not in pages[target].anchors:
                found.append(f"{here}: {address} leads to no anchor")
    return found


def check(app, exception):
    from sphinx.util.logging import getLogger

    if exception is None and app.builder.name == "html":
        for problem in problems(app.outdir):
            getLogger(__name__).warning(problem)


def setup(app):
    app.connect("build-finished", check, priority=999)  # when everything else has been written
    return {"parallel_read_safe": True, "parallel_write_safe": True}
