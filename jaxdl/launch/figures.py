"""Figures as the launcher prints them."""

from collections.abc import Mapping
from typing import Any


def line(figures: Mapping[str, Any]) -> str:
    """Figures as a line of text."""
    return "  ".join(
        f"{k} {v:.4f}" if isinstance(v, float) else f"{k} {v}" for k, v in figures.items()
    )
