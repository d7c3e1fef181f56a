"""Worlds small enough for a table: every state, every action, and what may come of it.

Their tables equal those of gymnasium's toy_text environments of the same names.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from jaxdl.registry import choose

# Four ways on a grid: (rows, columns).
_LEFT, _DOWN, _RIGHT, _UP = (0, -1), (1, 0), (0, 1), (-1, 0)
ARROWS = {_LEFT: "←", _DOWN: "↓", _RIGHT: "→", _UP: "↑"}


class Grid(NamedTuple):
    """States that lie side by side, to be drawn.

    Attributes:
      title: of the picture.
      states: (rows, columns) their indices.
      marks: (rows, columns) a letter each, " " for none; nothing is decided where a letter of
        "HGC" (hole, goal, cliff) stands.
    """

    title: str
    states: np.ndarray
    marks: np.ndarray


class World(NamedTuple):
    """A Markov decision process whose every (state, action) has a few outcomes.

    Attributes:
      next_state: (states, actions, outcomes) int32.
      probability: (states, actions, outcomes) float32; sums to 1 over the last axis.
      reward: (states, actions, outcomes) float32.
      terminal: (states, actions, outcomes) bool: whether the episode ends there.
      start: (states,) float32, how probable each is at the beginning.
      max_steps: after which an episode is cut off.
      glyphs: one an action.
      grids: the states as maps.
    """

    next_state: np.ndarray
    probability: np.ndarray
    reward: np.ndarray
    terminal: np.ndarray
    start: np.ndarray
    max_steps: int
    glyphs: tuple[str, ...]
    grids: tuple[Grid, ...]


Outcome = tuple[float, int, float, bool]


def _world(
    states: int,
    outcomes: Callable[[int, int], Sequence[Outcome]],
    start: np.ndarray,
    max_steps: int,
    glyphs: Sequence[str],
    grids: Sequence[Grid],
) -> World:
    table = [[outcomes(s, a) for a in range(len(glyphs))] for s in range(states)]
    part = lambda i, dtype: np.array([[[o[i] for o in a] for a in s] for s in table], dtype)
    return World(
        part(1, np.int32),
        part(0, np.float32),
        part(2, np.float32),
        part(3, bool),
        (start / start.sum()).astype(np.float32),
        max_steps,
        tuple(glyphs),
        tuple(grids),
    )


def _moved(row: int, column: int, way: tuple[int, int], shape: tuple[int, int]) -> tuple[int, int]:
    """The next place, or the same one at an edge."""
    return (
        min(max(row + way[0], 0), shape[0] - 1),
        min(max(column + way[1], 0), shape[1] - 1),
    )


_LAKES = {
    4: ("SFFF", "FHFH", "FFFH", "HFFG"),
    8: (
        "SFFFFFFF", "FFFFFFFF", "FFFHFFFF", "FFFFFHFF", "FFFHFFFF", "FHHFFFHF", "FHFFHFHF",
        "FFFHFFFG",
    ),
}  # fmt: skip


def frozen_lake(size: int) -> World:
    """FrozenLake-v1, slippery: one of three ways is taken, the wanted one or those beside it."""
    marks = np.array([list(row) for row in _LAKES[size]])
    ways = (_LEFT, _DOWN, _RIGHT, _UP)
    states = np.arange(size**2).reshape(size, size)

    def outcomes(state: int, action: int) -> list[Outcome]:
        row, column = divmod(state, size)
        if marks[row, column] in "HG":
            return [(1 / 3, state, 0.0, True)] * 3
        found = []
        for way in (action - 1, action, action + 1):
            place = _moved(row, column, ways[way % 4], marks.shape)
            mark = marks[place]
            found.append((1 / 3, int(states[place]), float(mark == "G"), mark in "HG"))
        return found

    start = (marks == "S").ravel().astype(float)
    shown = np.where(marks == "F", " ", marks)
    limit = {4: 100, 8: 200}[size]
    grid = Grid(f"frozen lake {size}x{size}", states, shown)
    return _world(size**2, outcomes, start, limit, [ARROWS[way] for way in ways], [grid])


def cliff_walking() -> World:
    """CliffWalking-v1: −1 a step, −100 and back to the start for one over the edge.

    (Sutton and Barto, 2018, example 6.6.) gymnasium sets no time limit; here it is 200 steps.
    """
    shape = (4, 12)
    ways = (_UP, _RIGHT, _DOWN, _LEFT)
    states = np.arange(48).reshape(shape)
    start, goal = 36, 47
    marks = np.full(shape, " ")
    marks[3, 0], marks[3, 1:11], marks[3, 11] = "S", "C", "G"

    def outcomes(state: int, action: int) -> list[Outcome]:
        place = _moved(*divmod(state, 12), ways[action], shape)
        if marks[place] == "C":
            return [(1.0, start, -100.0, False)]
        after = int(states[place])
        return [(1.0, after, -1.0, after == goal)]

    grid = Grid("cliff walking", states, marks)
    return _world(48, outcomes, np.eye(48)[start], 200, [ARROWS[way] for way in ways], [grid])


_TOWN = ("|R: | : :G|", "| : | : : |", "| : : : : |", "| | : | : |", "|Y| : |B: |")
_STOPS = ((0, 0), (0, 4), (4, 0), (4, 3))  # R, G, Y, B
_IN_TAXI = 4


def taxi() -> World:
    """Taxi: fetch a passenger and bring him where he wants to go (Dietterich, 2000).

    500 states ``((row · 5 + column) · 5 + passenger) · 4 + destination``; −1 a step, −10 for a
    pick-up or drop-off where there is none to make, +20 for the right drop-off.
    """
    index = lambda row, column, passenger, stop: ((row * 5 + column) * 5 + passenger) * 4 + stop
    open_to = {_RIGHT: 2, _LEFT: 0}  # where in the town's text a wall would be

    def outcomes(state: int, action: int) -> list[Outcome]:
        rest, stop = divmod(state, 4)
        rest, passenger = divmod(rest, 5)
        row, column = place = divmod(rest, 5)
        reward, done = -1.0, False
        if action < 4:
            way = (_DOWN, _UP, _RIGHT, _LEFT)[action]
            if way not in open_to or _TOWN[row][2 * column + open_to[way]] == ":":
                row, column = _moved(row, column, way, (5, 5))
        elif action == 4 and passenger < _IN_TAXI and place == _STOPS[passenger]:
            passenger = _IN_TAXI
        elif action == 5 and passenger == _IN_TAXI and place == _STOPS[stop]:
            passenger, reward, done = stop, 20.0, True
        elif action == 5 and passenger == _IN_TAXI and place in _STOPS:
            passenger = _STOPS.index(place)
        else:
            reward = -10.0
        return [(1.0, index(row, column, passenger, stop), reward, done)]

    start = np.zeros(500)
    for state in range(500):
        rest, stop = divmod(state, 4)
        start[state] = rest % 5 < _IN_TAXI and rest % 5 != stop
    marks = np.full((5, 5), " ")
    for place, letter in zip(_STOPS, "RGYB", strict=True):
        marks[place] = letter
    states = np.array([[index(r, c, 0, 3) for c in range(5)] for r in range(5)])
    grids = [
        Grid("taxi, passenger at R", states, marks),
        Grid("taxi, passenger to B", states + 4 * _IN_TAXI, marks),
    ]
    glyphs = [*(ARROWS[way] for way in (_DOWN, _UP, _RIGHT, _LEFT)), "in", "out"]
    return _world(500, outcomes, start, 200, glyphs, grids)


WORLDS: dict[str, Callable[[], World]] = {
    "cliff_walking": cliff_walking,
    "frozen_lake": lambda: frozen_lake(4),
    "frozen_lake_8x8": lambda: frozen_lake(8),
    "taxi": taxi,
}


def create(name: str) -> World:
    """The world called ``name``; UserError names the nearest one if there is none."""
    return choose("environment in config.task.env", name, WORLDS)()
