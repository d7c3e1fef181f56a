"""``python -m jaxdl.anatomy MODEL``: a model's layers, a line each."""

import argparse
import sys

from jaxdl import models
from jaxdl.anatomy import Anatomy, of, of_text, reads_text
from jaxdl.errors import UserError, told


def table(anatomy: Anatomy) -> str:
    """The layers as lines of text."""
    by = lambda pair: "x".join(map(str, pair))
    rows = [("layer", "kind", "window", "stride", "map", "step", "field", "multiply-adds")]
    for x in anatomy.layers:
        field = "?" if x.seen is None else by(seen.field for seen in x.seen)
        step = "?" if x.seen is None else by(seen.step for seen in x.seen)
        field += " + whole" if x.whole else ""
        adds = f"{x.multiply_adds:,}"
        rows.append((x.name, x.kind, by(x.window), by(x.stride), by(x.size), step, field, adds))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) for row in rows]
    last = f"last map {by(anatomy.last.size)}, receptive field {anatomy.last.field}"
    total = f"{anatomy.parameters:,} parameters, {anatomy.multiply_adds:,} multiply-adds"
    return "\n".join([*(line.rstrip() for line in lines), f"{total}, {last}"])


def main() -> int:
    """Prints a model's layers; returns the exit code."""
    parser = argparse.ArgumentParser(description="The layers of a model.")
    parser.add_argument("model", help="one of jaxdl.models")
    parser.add_argument("--size", type=int, default=224, help="pixels a side")
    parser.add_argument("--channels", type=int, default=3, help="of the image")
    parser.add_argument("--tokens", type=int, help="of a text: 128 for models of texts")
    args = parser.parse_args()
    image = (args.size, args.size, args.channels)
    try:
        module = models.create(args.model)
        if args.tokens is not None or reads_text(module):
            size = of_text(module, args.tokens or 128)
            print(f"{size.parameters:,} parameters, {size.multiply_adds:,} multiply-adds")
        else:
            print(table(of(module, image)))
    except UserError as error:
        return told(error)
    return 0


if __name__ == "__main__":
    sys.exit(main())
