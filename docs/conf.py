import sys
from pathlib import Path

import matplotlib
from docutils import nodes

import tinygrad_meta

sys.path.insert(0, str(Path(__file__).parent / "_ext"))
matplotlib.use("Agg")

project = "tinygrad_meta"
author = "the tinygrad_meta authors"
copyright = "2026, the tinygrad_meta authors"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode", "sphinx_gallery.gen_gallery",
              "annotated", "mathml", "links"]  # the last three are in _ext/
exclude_patterns = ["_build"]

html_theme = "furo"
html_title = "tinygrad_meta"
html_static_path = ["_static"]
html_css_files = ["docs.css"]
html_math_renderer = "mathml"

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"  # the source tells a story from top to bottom
autodoc_preserve_defaults = True
napoleon_google_docstring = False
viewcode_follow_imported_members = False  # or links back from ops.py would lead to methods of Tensor

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": "",  # run them all
    "within_subsection_order": "FileNameSortKey",
    "image_scrapers": ("gallery.saved_pictures",),
    "capture_repr": (),  # what a page shows is what the script prints
    "show_signature": False,
    "write_computation_times": False,
    "thumbnail_size": (400, 280),
}


def skip_what_only_ops_needs(app, what, name, member, skip, options):
    if getattr(member, "__module__", None) == "tinygrad_meta.ops" and not hasattr(tinygrad_meta, name):
        return True


def without_last_blank_line(app, doctree):
    """Doctest needs a blank line after the last output; a reader does not."""
    for block in doctree.findall(nodes.literal_block):
        block.rawsource = block.astext().rstrip()
        block[:] = [nodes.Text(block.rawsource)]


def setup(app):
    app.connect("autodoc-skip-member", skip_what_only_ops_needs)
    app.connect("doctree-read", without_last_blank_line)
