"""Test images of MNIST whose given label human raters dispute: to mark mistakes in figures, never to change a score.

Source: Northcutt, Athalye and Mueller 2021, arXiv 2103.14749 ("Pervasive label errors in test sets"); five raters for
each image.
"""

RATERS: dict[int, str] = {  # index in the file: what most of the raters saw
    947: "9",  # given: 8
    1621: "6",  # 0
    1901: "4",  # 9
    2130: "no majority",
    2462: "0",  # 2
    2597: "3",  # 5
    2654: "neither digit",  # neither the given one nor the one that networks see
    3520: "neither digit",
    3558: "0",  # 5
    5937: "3",  # 5
    6651: "6",  # 0
    6783: "6",  # 1
    8527: "no majority",
    9679: "neither digit",
    9729: "6",  # 5
}

MNIST_DISPUTED = frozenset(RATERS)
