"""Inception v3's published weights (Szegedy et al., 2015), torchvision's and pytorch-fid's."""

from jaxdl.data.preprocess import Preprocess
from jaxdl.models.inception import KINDS, STEM, InceptionV3
from jaxdl.pretrained import register
from jaxdl.pretrained.architecture import Architecture, Naming, Published, images
from jaxdl.pretrained.mapping import Rule, Table, batch_norm, conv, dense

_STEM = ("1a_3x3", "2a_3x3", "2b_3x3", "3b_1x1", "4a_3x3")

# What a kind of block calls its branches; places are counted from 1 where there are several.
_BRANCHES = {
    "A": dict(one="1x1", five="5x5", three="3x3dbl", pool="_pool"),
    "B": dict(three="3x3", double="3x3dbl"),
    "C": dict(one="1x1", seven="7x7", double="7x7dbl", pool="_pool"),
    "D": dict(three="3x3", seven="7x7x3"),
    "E": dict(one="1x1", three_fork="3x3", double_fork="3x3dbl", pool="_pool"),
}


def _conv(theirs: str, ours: str) -> tuple[Rule, ...]:
    return *conv(f"{theirs}.conv", f"{ours}/conv"), *batch_norm(f"{theirs}.bn", f"{ours}/norm")


def _places(branch: str, count: int) -> list[str]:
    """What stands behind a branch's name for each of its convolutions."""
    if count == 1:
        return [""]
    if branch.endswith("fork"):
        return [*(f"_{i + 1}" for i in range(count - 2)), f"_{count - 1}a", f"_{count - 1}b"]
    return [f"_{i + 1}" for i in range(count)]


def _table(module: InceptionV3) -> Table:
    rules = [
        one
        for i, theirs in zip(range(len(STEM)), _STEM, strict=True)
        for one in _conv(f"Conv2d_{theirs}", f"stem_{i}")
    ]
    for i, stage in enumerate(module.stages):
        for j, (kind, _) in enumerate(stage):
            # Letters go on from the stem's: the first stage has b, c and d.
            block = f"Mixed_{i + 5}{chr(ord('a') + j + (i == 0))}"
            for ours, theirs in _BRANCHES[kind].items():
                places = _places(ours, len(KINDS[kind][ours]))
                for k, place in enumerate(places):
                    name = f"{block}.branch{theirs}{place}"
                    rules += _conv(name, f"block_{i}_{j}/{ours}_{k}")
    # The published file has an auxiliary head, which is for training alone.
    return Table(rules=(*rules, *dense("fc", "head")), ignored=(r"AuxLogits\..*",))


# torchvision's weights bring images from ImageNet's mean and deviation to these.
_HALF = (0.5, 0.5, 0.5)

INCEPTION = register("inception_v3")(
    Architecture(
        model="inception_v3",
        inputs=images(299),
        namings={
            "torchvision": Naming(
                _table,
                {
                    "inception_v3": Published(
                        "inception_v3", preprocess=Preprocess(299, 342, mean=_HALF, std=_HALF)
                    )
                },
            )
        },
        head=("head",),
    )
)
