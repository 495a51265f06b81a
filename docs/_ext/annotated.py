"""A source file as a page: its docstrings and comments on one side, the code that they speak about on the other.

    ```{annotated} tinygrad_meta/tensor.py
    ```

Nothing is written twice.  The prose is the file's own: docstrings, which are reStructuredText, and comments that stand on lines
of their own outside of functions.  All other lines are code and appear once, in order, under the numbers that they have in the
file.
Every function, class and method can be linked to by its name: ``tensor.html#Tensor.detach``.
"""

import ast
import re
from dataclasses import dataclass, field
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import Parser
from docutils.utils import new_document
from sphinx.ext.napoleon import Config, NumpyDocstring
from sphinx.util.docutils import SphinxDirective

DEFINITIONS = (ast.FunctionDef, ast.ClassDef)
HEADING = re.compile(r"# -{10,} (.+)")
NAPOLEON = Config(napoleon_use_param=False, napoleon_use_rtype=False, napoleon_custom_sections=[("Attributes", "params_style")])


@dataclass
class Piece:
    """Prose and the code beside it.  ``code`` holds numbers of lines; a ``heading`` stands alone."""

    name: str = ""
    heading: str = ""
    comment: list = field(default_factory=list)
    docstring: str = ""
    code: list = field(default_factory=list)


def pieces(source):
    """The pieces of a file, from top to bottom."""
    lines, tree = source.splitlines(), ast.parse(source)
    docstring, body, begin = split_docstring(tree)
    return [Piece(docstring=docstring)] * bool(docstring) + pieces_of(body, lines, begin or 1, len(lines) + 1)


def pieces_of(body, lines, begin, end, prefix=""):
    """The pieces of the statements in ``body`` and of the comments between them, on lines from ``begin`` to before ``end``."""
    found, together = [], None  # together: the piece that the next simple statement would continue
    for node in body:
        standalone, comment = comments(lines, begin, first_line(node))
        found += standalone
        together = None if standalone or comment or isinstance(node, DEFINITIONS) else together
        if isinstance(node, DEFINITIONS):
            found += definition(node, lines, comment, prefix)
        elif together:
            together.code += range(begin, node.end_lineno + 1)
        else:
            together = Piece(comment=comment, code=[*range(first_line(node), node.end_lineno + 1)])
            found.append(together)
        begin = node.end_lineno + 1
    return found + comments(lines, begin, end)[0]


def definition(node, lines, comment, prefix):
    """A function, with all its code; or a class up to its first method, and then its methods."""
    docstring, body, after = split_docstring(node)
    methods = [i for i, member in enumerate(body) if isinstance(node, ast.ClassDef) and isinstance(member, DEFINITIONS)]
    inner = body[methods[0] :] if methods else []
    end = first_line(inner[0]) if inner else node.end_lineno + 1
    code = [*range(first_line(node), end)]
    if docstring:
        code = [i for i in code if not node.body[0].lineno <= i <= node.body[0].end_lineno]
    while not lines[code[-1] - 1].strip():
        code.pop()
    piece = Piece(name=prefix + node.name, comment=comment, docstring=docstring, code=code)
    return [piece] + pieces_of(inner, lines, end, node.end_lineno + 1, prefix + node.name + ".")


def split_docstring(node):
    """The docstring of a module, class or function, its other statements, and the line after the docstring."""
    docstring = ast.get_docstring(node)
    if docstring is None:
        return "", node.body, None
    return docstring, node.body[1:], node.body[0].end_lineno + 1


def first_line(node):
    return min([node.lineno] + [decorator.lineno for decorator in getattr(node, "decorator_list", [])])


def comments(lines, begin, end):
    """What stands between two statements: pieces that stand alone, and the comment right above the next statement."""
    blocks = [[]]
    for line in lines[begin - 1 : end - 1]:
        text = line.strip()
        if HEADING.match(text):
            blocks += [text, []]
        elif text:
            blocks[-1].append(text.removeprefix("#").removeprefix(" "))
        elif blocks[-1]:
            blocks.append([])
    standalone = [Piece(heading=HEADING.match(block)[1]) if isinstance(block, str) else Piece(comment=block)
                  for block in blocks[:-1] if block]
    return standalone, blocks[-1]


class Annotated(SphinxDirective):
    required_arguments = 1

    def run(self):
        path = Path(self.env.srcdir).parent / self.arguments[0]
        self.env.note_dependency(str(path))
        source = path.read_text(encoding="utf-8")
        self.lines, told = source.splitlines(), pieces(source)
        self.slugs = self.env.metadata[self.env.docname].setdefault("annotated", [])

        place = top = nodes.section()  # only a place to collect: its children are returned
        top += self.contents(told)
        for piece in told:
            if piece.heading:
                place = nodes.section("", nodes.title("", capitalised(piece.heading)), ids=[anchor(piece)])
                top += place
            else:
                place += self.row(piece)
        return top.children

    def contents(self, told):
        """Links to the sections of the file; if it has none, to its functions and classes."""
        links = [p for p in told if p.heading] or [p for p in told if p.name and "." not in p.name]
        paragraph = nodes.paragraph(classes=["annotated-contents"])
        for piece in links:
            paragraph += [nodes.Text(" \N{MIDDLE DOT} ")] * bool(paragraph.children)
            text = nodes.Text(capitalised(piece.heading)) if piece.heading else nodes.literal("", piece.name)
            paragraph += [nodes.reference("", "", text, refid=anchor(piece), internal=True)]
        return paragraph

    def row(self, piece):
        prose, code = nodes.container(classes=["annotated-prose"]), nodes.container(classes=["annotated-code"])
        row = nodes.container("", prose, classes=["annotated-row"])
        if piece.name:
            self.slugs.append(piece.name)
            row["ids"] = [piece.name]
            link = nodes.reference("", "", nodes.literal("", piece.name), refid=piece.name, internal=True)
            prose += nodes.paragraph("", "", link, classes=["annotated-name"])
        if piece.comment:
            prose += nodes.paragraph("", " ".join(piece.comment))
        prose += self.restructured_text(piece.docstring)
        if piece.code:
            row += code
        else:
            row["classes"].append("annotated-wide")
        runs = [i for i in piece.code if i - 1 not in piece.code]
        for start, end in zip(runs, [*runs[1:], piece.code[-1] + 1] if runs else []):
            block = "\n".join(self.lines[i - 1] for i in piece.code if start <= i < end)
            code += nodes.literal_block(block, block, language="python", linenos=True, highlight_args={"linenostart": start})
        return row

    def restructured_text(self, docstring):
        document = new_document(self.state.document["source"], self.state.document.settings)
        document.reporter = self.state.document.reporter
        Parser().parse(str(NumpyDocstring(docstring, NAPOLEON, self.env.app)).replace(":returns:", ":Returns:"), document)
        return document.children


def anchor(piece):
    return piece.name or nodes.make_id(piece.heading)


def capitalised(text):
    return text[0].upper() + text[1:]


def tell_myst(app, doctree):
    """Let Markdown pages link to ``tensor.md#Tensor.detach`` as they link to a heading."""
    metadata = app.env.metadata[app.env.docname]
    for name in metadata.get("annotated", []):
        metadata.setdefault("myst_slugs", {})[name] = (0, name, name)


def setup(app):
    app.add_directive("annotated", Annotated)
    app.connect("doctree-read", tell_myst)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
