"""All comparisons by name."""

from benchmarks.language import embedding, masked, writing

ROWS = {**masked.ROWS, **embedding.ROWS, **writing.ROWS}
