"""All comparisons by name."""

from benchmarks.language import embedding, hearing, masked, writing

ROWS = {**masked.ROWS, **embedding.ROWS, **writing.ROWS, **hearing.ROWS}
