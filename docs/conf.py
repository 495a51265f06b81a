import tinygrad_meta

project = "tinygrad_meta"
author = "the tinygrad_meta authors"
copyright = "2026, the tinygrad_meta authors"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["_build"]
html_theme = "alabaster"
html_theme_options = {"description": "Backpropagation to read, and meta-learning on top of it", "fixed_sidebar": True}

autodoc_member_order = "bysource"  # the source tells a story from top to bottom
autodoc_preserve_defaults = True
napoleon_google_docstring = False


def skip_what_only_ops_needs(app, what, name, member, skip, options):
    if getattr(member, "__module__", None) == "tinygrad_meta.ops" and not hasattr(tinygrad_meta, name):
        return True


def setup(app):
    app.connect("autodoc-skip-member", skip_what_only_ops_needs)
