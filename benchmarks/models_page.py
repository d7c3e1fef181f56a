"""docs/models.md: what every published model is made of, beside what is published of it.

python -m benchmarks.models_page            # anew, between the marks of the page
"""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.page import with_figures
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
# others are counts of the library's modules of 1000 classes, and, of Darknet, what its files hold.
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
    "inception_v3": _torchvision(23_834_568, 5.713),
    "inception_v3_fid": Published(23_850_960, None, "pytorch-fid"),
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
    "yolov3": Published(61_949_149, None, "Darknet"),
    "yolov3_tiny": Published(8_852_366, None, "Darknet"),
    "faster_rcnn": _torchvision(41_755_286, None),
    "pix2pix_256": Published(54_413_955, None, "the authors' code"),
    "cyclegan_9": Published(11_378_179, None, "the authors' code"),
    "patchgan": Published(2_768_705, None, "the authors' code"),
    "transformer_net": Published(1_679_235, None, "PyTorch's example"),
    "edsr_baseline": Published(1_369_859, None, "the authors' code"),
    "edsr": Published(40_729_603, None, "the authors' code"),
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
    "bert_tiny": _transformers(4_385_920),
    "bert_mini": _transformers(11_170_560),
    "bert_small": _transformers(28_763_648),
    "bert_medium": _transformers(41_373_184),
    "bert_base": _transformers(109_482_240),
    "bert_large": _transformers(335_141_888),
    "gpt2_s": _transformers(124_439_808),
    "gpt2_m": _transformers(354_823_168),
    "gpt2_l": _transformers(774_030_080),
    "gpt2_xl": _transformers(1_557_611_200),
    "t5_small": _transformers(60_506_624),
    "t5_base": _transformers(222_903_552),
    "t5_large": _transformers(737_668_096),
    "t5_3b": _transformers(2_851_598_336),
    "t5_11b": _transformers(11_307_321_344),
    "t5_v1_1_small": _transformers(76_961_152),
    "t5_v1_1_base": _transformers(247_577_856),
    "t5_v1_1_large": _transformers(783_150_080),
    "t5_v1_1_xl": _transformers(2_849_757_184),
    "t5_v1_1_xxl": _transformers(11_135_332_352),
    "bart_base": _transformers(139_420_416),
    "bart_large": _transformers(406_291_456),
    "whisper_tiny": _transformers(37_184_640),
    "whisper_base": _transformers(71_825_920),
    "whisper_small": _transformers(240_582_912),
    "whisper_medium": _transformers(762_321_920),
    "whisper_large": _transformers(1_541_384_960),
    "whisper_tiny_en": _transformers(37_184_256),
    "whisper_base_en": _transformers(71_825_408),
    "whisper_small_en": _transformers(240_582_144),
    "whisper_medium_en": _transformers(762_320_896),
    "whisper_large_v2": _transformers(1_541_384_960),
    "whisper_large_v3": _transformers(1_541_570_560),
    "whisper_large_v3_turbo": _transformers(806_958_080),
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
    Family("inception", "Szegedy et al., 2015", 299),
    Family("resnet", "He et al., 2015"),
    Family("efficientnet", "Tan and Le, 2019"),
    Family("yolov3", "Redmon and Farhadi, 2018", 416),
    Family("faster_rcnn", "Ren et al., 2015; Lin et al., 2017", 640),
    Family("unet", "Ronneberger et al., 2015", 572, 1),
    Family("espcn", "Shi et al., 2016", 48, 1),
    Family("edsr", "Lim et al., 2017", 48),
    Family("pix2pix", "Isola et al., 2017", 256),
    Family("cyclegan", "Zhu et al., 2017", 256),
    Family("transformer_net", "Johnson et al., 2016", 256),
    Family("patchgan", "Isola et al., 2017", 256, 6),
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


class TextFamily(NamedTuple):
    """Models of texts: their names' beginning, the paper, and fields that they are counted with."""

    start: str
    paper: str
    fields: Mapping[str, Any] = {}


TEXT_FAMILIES = (
    TextFamily("bert", "Devlin et al., 2018", dict(output="classifier", num_classes=0)),
    TextFamily("gpt2", "Radford et al., 2019"),
    TextFamily("t5", "Raffel et al., 2020"),
    TextFamily("bart", "Lewis et al., 2019"),
    TextFamily("whisper", "Radford et al., 2022"),
)
TOKENS = 128

TEXT_HEAD = (
    "model | parameters | 10⁹ multiply-adds | published",
    "--- | ---: | ---: | ---",
)


def text_names(family: TextFamily) -> list[str]:
    """The names of a family's published sizes."""
    beginning = f"{family.start}_"  # of other models too, such as whisper_ctc
    return [name for name in models.names() if name.startswith(beginning) and name in PUBLISHED]


def text_line(name: str, family: TextFamily) -> tuple[int, str]:
    """A model's parameters, and its row of the table."""
    found, published = (
        anatomy.of_text(models.create(name, **family.fields), TOKENS),
        PUBLISHED[name],
    )
    told = f"{published.parameters:,} ({published.source})"
    adds = f"{found.multiply_adds / 1e9:.2f}"
    return found.parameters, f"`{name}` | {found.parameters:,} | {adds} | {told}"


def names(family: Family) -> list[str]:
    """The names of a family; its own is that of its default, which has a name of its own if any."""
    found = [name for name in models.names() if name.startswith(family.start)]
    others = [name for name in found if name != family.start]
    if family.start not in found or family.start in PUBLISHED:
        return found
    default = models.create(family.start)
    return others if any(models.create(name) == default for name in others) else found


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
    yield from (
        "",
        "## Models of texts",
        "",
        f"Multiply-adds are of a text of {TOKENS} tokens, of T5 and BART from {TOKENS} to as many;",
        "logits of all tokens are among them. BERT is counted as encoder and pooler, without;",
        f"Whisper from 30 s of sound to {TOKENS} tokens, without the encoder's fixed positions.",
    )
    for family in TEXT_FAMILIES:
        yield from ("", f"**{family.start}** ({family.paper})", "", *TEXT_HEAD)
        rows = sorted(text_line(name, family) for name in text_names(family))
        yield from (row for _, row in rows)
    yield ""


def main() -> None:
    """Writes the page anew."""
    lines = "\n".join(figures()).strip()
    PAGE.write_text(with_figures(PAGE.read_text(), lines))


if __name__ == "__main__":
    main()
