"""The door: ``python -m jaxdl.launch --config=experiments/vit.py --workdir=runs/vit``."""

from jaxdl.launch.command import main

__all__ = ["main"]
