"""Exercise 5: undo broadcasting.

NumPy can stretch an array of shape `shape` to the shape of `g`, by
adding axes in front and by repeating axes of length 1. Undo that:
sum the array `g` over all axes that were added or repeated, and
return an array of shape `shape`.

Use NumPy, and nothing from tinygrad_meta.

Hint: first the axes in front, which are gone afterwards, then those
of length 1, with keepdims=True.
Read: course, chapter 4.
"""


def sum_to(g, shape):
    ...
