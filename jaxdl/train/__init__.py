"""The loop, the only code that knows time, and what it is made of."""

from jaxdl.train.ahead import Ahead, may_compile
from jaxdl.train.loop import Outcome, train

__all__ = ["Ahead", "Outcome", "may_compile", "train"]
