"""docs/models.md: what every image classifier is made of, beside what is published of it.

python -m benchmarks.models_page            # anew, between the marks of the page
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from benchmarks.page import BEGIN, END
from jaxdl import anatomy, models

PAGE = Path(__file__).parent.parent / "docs" / "models.md"


class Published(NamedTuple):
    """What others say of a model: parameters, 10⁹ multiply-adds or None, and who."""

    parameters: int
    multiply_adds: float | None
    source: str


def _torchvision(parameters: int, multiply_adds: float) -> Published:
    return Published(parameters, multiply_adds, "torchvision")


def _timm(parameters: int) -> Published:
    return Published(parameters, None, "timm")


def _transformers(parameters: int) -> Published:
    return Published(parameters, None, "transformers")


# torchvision: the entries num_params and _ops of its weights (the first of a model) in 0.29. The
# others are counts of the library's modules of 1000 classes.
PUBLISHED = {
    "alexnet": _torchvision(61_100_840, 0.714),
    "vgg11": _torchvision(132_863_336, 7.609),
    "vgg11_bn": _torchvision(132_868_840, 7.609),
    "vgg13": _torchvision(133_047_848, 11.308),
    "vgg13_bn": _torchvision(133_053_736, 11.308),
    "vgg16": _torchvision(138_357_544, 15.470),
    "vgg16_bn": _torchvision(138_365_992, 15.470),
    "vgg19": _torchvision(143_667_240, 19.632),
    "vgg19_bn": _torchvision(143_678_248, 19.632),
    "googlenet": _torchvision(6_624_904, 1.498),
    "resnet18": _torchvision(11_689_512, 1.814),
    "resnet34": _torchvision(21_797_672, 3.664),
    "resnet50": _torchvision(25_557_032, 4.089),
    "resnet101": _torchvision(44_549_160, 7.801),
    "resnet152": _torchvision(60_192_808, 11.514),
    "efficientnet_b0": _torchvision(5_288_548, 0.386),
    "efficientnet_b1": _torchvision(7_794_184, 0.687),
    "efficientnet_b2": _torchvision(9_109_994, 1.088),
    "efficientnet_b3": _torchvision(12_233_232, 1.827),
    "efficientnet_b4": _torchvision(19_341_616, 4.394),
    "efficientnet_b5": _torchvision(30_389_784, 10.266),
    "efficientnet_b6": _torchvision(43_040_704, 19.068),
    "efficientnet_b7": _torchvision(66_347_960, 37.746),
    "convnext_t": _torchvision(28_589_128, 4.456),
    "convnext_s": _torchvision(50_223_688, 8.684),
    "convnext_b": _torchvision(88_591_464, 15.355),
    "convnext_l": _torchvision(197_767_336, 34.361),
    "vit_b16": _torchvision(86_567_656, 17.564),
    "vit_b32": _torchvision(88_224_232, 4.409),
    "vit_l16": _torchvision(304_326_632, 61.555),
    "vit_l32": _torchvision(306_535_400, 15.378),
    "vit_ti16": _timm(5_717_416),
    "vit_s16": _timm(22_050_664),
    "coatnet_0": _timm(25_036_820),
    "coatnet_1": _timm(42_225_776),
    "coatnet_2": _timm(74_684_744),
    "coatnet_3": _timm(166_966_264),
    "coatnet_4": _timm(275_425_288),
    "coatnet_5": _timm(687_472_008),
    "mobilevit_xxs": _timm(1_272_024),
    "mobilevit_xs": _timm(2_317_848),
    "mobilevit_s": _timm(5_578_632),
    "cvt_13": _transformers(19_997_480),
    "cvt_21": _transformers(31_622_696),
}


class Family(NamedTuple):
    """An architecture's models: their names' beginning, the paper, pixels a side, channels."""

    start: str
    paper: str
    size: int = 224
    channels: int = 3


FAMILIES = (
    Family("lenet", "LeCun et al., 1998", 32, 1),
    Family("alexnet", "Krizhevsky, 2014"),
    Family("vgg", "Simonyan and Zisserman, 2014"),
    Family("googlenet", "Szegedy et al., 2014"),
    Family("resnet", "He et al., 2015"),
    Family("efficientnet", "Tan and Le, 2019"),
    Family("vit", "Dosovitskiy et al., 2020"),
    Family("cvt", "Wu et al., 2021"),
    Family("coatnet", "Dai et al., 2021"),
    Family("mobilevit", "Mehta and Rastegari, 2021", 256),
    Family("convnext", "Liu et al., 2022"),
    Family("deep_cnn", "introductory courses", 28, 1),
)

# Where they are not the family's: the first weights of torchvision.
SIZES = dict(
    efficientnet_b1=240,
    efficientnet_b2=288,
    efficientnet_b3=300,
    efficientnet_b4=380,
    efficientnet_b5=456,
    efficientnet_b6=528,
    efficientnet_b7=600,
)

HEAD = (
    "model | image | parameters | 10⁹ multiply-adds | last map | receptive field | published",
    "--- | --- | ---: | ---: | --- | --- | ---",
)


def names(family: Family) -> list[str]:
    """The names of a family; its own is that of its default, which has a name of its own if any."""
    found = [name for name in models.names() if name.startswith(family.start)]
    one = len(found) == 1 or family.start in PUBLISHED
    return found if one else [name for name in found if name != family.start]


def line(name: str, family: Family) -> tuple[int, str]:
    """A model's parameters, and its row of the table."""
    size = SIZES.get(name, family.size)
    found = anatomy.of(models.create(name), (size, size, family.channels))
    last, field = found.last, f"{found.last.field:.0f}"
    if math.isinf(last.field):
        field = f"all ({last.seen[0].field})" if last.seen else "all"
    adds, published = found.multiply_adds / 1e9, PUBLISHED.get(name)
    told = "" if published is None else f"{published.parameters:,}"
    if published is not None:
        theirs = published.multiply_adds
        told += "" if theirs is None else f", {theirs:.3f}"
        told += f" ({published.source})"
    cells = (
        f"`{name}`",
        f"{size}x{size}x{family.channels}",
        f"{found.parameters:,}",
        f"{adds:.{3 if adds >= 0.01 else 4}f}",
        "x".join(map(str, last.size)),
        field,
        told,
    )
    return found.parameters, " | ".join(cells).rstrip()


def figures() -> Iterator[str]:
    """The lines between the marks."""
    for family in FAMILIES:
        yield from ("", f"**{family.start}** ({family.paper})", "", *HEAD)
        yield from (row for _, row in sorted(line(name, family) for name in names(family)))
    yield ""


def main() -> None:
    """Writes the page anew."""
    text = PAGE.read_text()
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    PAGE.write_text(f"{head}{BEGIN}\n" + "\n".join(figures()) + f"\n{END}{tail}")


if __name__ == "__main__":
    main()
