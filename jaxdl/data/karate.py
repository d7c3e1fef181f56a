"""Zachary's karate club: who met whom outside of it, before it split in two."""

import numpy as np

from jaxdl.data import Whole, graph, register

# For each member the later ones that he met: 78 pairs of 34 members, numbered from 0 (Zachary,
# 1977, "An information flow model for conflict and fission in small groups", figure 2).
_FRIENDS = {
    0: (1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 17, 19, 21, 31),
    1: (2, 3, 7, 13, 17, 19, 21, 30),
    2: (3, 7, 8, 9, 13, 27, 28, 32),
    3: (7, 12, 13),
    4: (6, 10),
    5: (6, 10, 16),
    6: (16,),
    8: (30, 32, 33),
    9: (33,),
    13: (33,),
    14: (32, 33),
    15: (32, 33),
    18: (32, 33),
    19: (33,),
    20: (32, 33),
    22: (32, 33),
    23: (25, 27, 29, 32, 33),
    24: (25, 27, 31),
    25: (31,),
    26: (29, 33),
    27: (33,),
    28: (31, 33),
    29: (32, 33),
    30: (32, 33),
    31: (32, 33),
    32: (33,),
}
_WITH_THE_INSTRUCTOR = (0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 16, 17, 19, 21)


@register("karate")
def karate() -> Whole:
    """34 members, no features but who they are, the side that each took (17 and 17).

    Known are the sides of the two whose quarrel it was: the instructor, 0, and the president, 33.
    """
    members = 34
    edges = [(a, b) for a, friends in _FRIENDS.items() for b in friends]
    labels = np.ones(members, np.int32)
    labels[list(_WITH_THE_INSTRUCTOR)] = 0
    known = np.isin(np.arange(members), (0, members - 1))
    names = ("instructor", "president")
    return Whole(graph.create(np.eye(members), edges, labels, "karate", names, train=known))
