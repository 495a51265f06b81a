"""Parameters come as structures: lists, tuples and dicts of tensors, nested as a model likes.  Three functions handle them,
and two more turn a list of tensors into one vector and back.

>>> params = {"weights": [1.0, 2.0], "bias": 3.0}
>>> leaves(params)
[1.0, 2.0, 3.0]
>>> rebuild(params, [10.0, 20.0, 30.0])
{'weights': [10.0, 20.0], 'bias': 30.0}
>>> tree_map(lambda p, g: p - g, params, {"weights": [1.0, 1.0], "bias": 1.0})
{'weights': [0.0, 1.0], 'bias': 2.0}
"""

from copy import copy
from itertools import accumulate

from .ops import concat, reshape


def leaves(structure):
    """What a structure holds, as one flat list."""
    if isinstance(structure, dict):
        structure = structure.values()
    elif not isinstance(structure, (list, tuple)):
        return [structure]
    return [leaf for part in structure for leaf in leaves(part)]


def rebuild(structure, new_leaves):
    """The same structure holding other leaves."""
    return _rebuild(structure, iter(new_leaves))


def _rebuild(structure, new_leaves):
    if isinstance(structure, dict):
        new = copy(structure)
        new.update([(key, _rebuild(part, new_leaves)) for key, part in structure.items()])
        return new
    if isinstance(structure, (list, tuple)):
        parts = [_rebuild(part, new_leaves) for part in structure]
        return type(structure)(*parts) if hasattr(structure, "_fields") else type(structure)(parts)
    return next(new_leaves)


def tree_map(function, structure, *others):
    """Apply a function to corresponding leaves of structures that are built alike."""
    for other in others:
        check_alike(structure, other)
    columns = [leaves(each) for each in (structure, *others)]
    return rebuild(structure, [function(*row) for row in zip(*columns, strict=True)])


def check_alike(structure, other, where="the structure"):
    """Raise a ValueError that says where two structures differ."""
    if isinstance(structure, dict):
        same = isinstance(other, dict) and list(structure) == list(other)
        keys = list(structure)
    elif isinstance(structure, (list, tuple)):
        same = isinstance(other, (list, tuple)) and len(structure) == len(other)
        keys = range(len(structure))
    else:
        same, keys = not isinstance(other, (dict, list, tuple)), ()
    if not same:
        raise ValueError(f"two structures of tensors are not built alike: {where} is {outline(structure)} in one and "
                         f"{outline(other)} in the other")
    for key in keys:
        check_alike(structure[key], other[key], f"{where}[{key!r}]" if where != "the structure" else f"entry [{key!r}]")


def dtype_of(structure):
    """The type of the first leaf."""
    dtype = next((getattr(leaf, "dtype", None) for leaf in leaves(structure)), None)
    if dtype is None:
        raise ValueError(f"parameters must be tensors or arrays, at least one of them, and these are {outline(structure)}")
    return dtype


def entries(params, *names):
    """The values of a dict that must have these keys and no others."""
    if not isinstance(params, dict) or set(params) != set(names):
        raise ValueError(f"params must be a dict with keys {list(names)}, and is {outline(params)}")
    return [params[name] for name in names]


def outline(structure):
    if isinstance(structure, dict):
        return f"a dict with keys {list(structure)}"
    if isinstance(structure, (list, tuple)):
        return f"a {type(structure).__name__} of length {len(structure)}"
    return "a leaf"


def as_vector(tensors):
    """All entries, one after the other."""
    if not tensors:
        raise ValueError("there are no parameters: the structure that should hold them is empty")
    return concat([reshape(t, -1) for t in tensors])


def split(vector, like):
    """The opposite: parts of a vector in the shapes of the tensors it was made from."""
    ends = [0, *accumulate([t.size for t in like])]
    return [reshape(vector[start:end], t.shape) for start, end, t in zip(ends, ends[1:], like, strict=False)]
