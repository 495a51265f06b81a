"""For sphinx-gallery: the pictures that an example saves are those that its page shows."""

import shutil
from pathlib import Path

from sphinx_gallery.scrapers import figure_rst

PICTURES = {".png", ".svg", ".gif"}


def saved_pictures(block, block_vars, gallery_conf):
    """Move what a block of the example left in ``results/`` to where its page expects it."""
    results = Path(block_vars["src_file"]).parent / "results"
    saved = [path for path in results.glob("*") if path.suffix in PICTURES]
    shown = []
    for path, name in zip(sorted(saved, key=lambda path: path.stat().st_mtime), block_vars["image_path_iterator"], strict=False):
        shown.append(Path(name).with_suffix(path.suffix))
        shutil.move(path, shown[-1])
    return "".join(figure_rst([str(path)], gallery_conf["src_dir"]) for path in shown)
