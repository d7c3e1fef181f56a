"""Inception v3, as torchvision and as pytorch-fid have it, with an eighth of the channels.

    pip install --no-deps pytorch-fid==0.3.0, besides what make_classifiers.py says

One block of each kind, of the last kind two: behind more batch norms in training the original's own
float32 is far from its float64.
"""

from make_classifiers import Case
from torch import nn
from torchvision.models import inception as original

NARROW = 8
STAGES = ((("A", 32),), (("B", 0), ("C", 128)), (("D", 0), ("E", 0), ("E", 0)))
LEFT_OUT = ("Mixed_5c", "Mixed_5d", "Mixed_6c", "Mixed_6d", "Mixed_6e")


class Narrow(original.BasicConv2d):
    """torchvision's convolution with batch norm, of fewer channels."""

    def __init__(self, before, after, **how):
        narrow = lambda channels: channels if channels == 3 else channels // NARROW
        super().__init__(narrow(before), narrow(after), **how)


def make(fid: bool) -> nn.Module:
    """torchvision's, with blocks of its own or of pytorch-fid's."""
    from pytorch_fid import inception as theirs

    usual = original.BasicConv2d
    original.BasicConv2d = Narrow  # which blocks look up when they are made
    try:
        model = original.Inception3(10, False, False, init_weights=False, dropout=0.0)
        a, c, e = original.InceptionA, original.InceptionC, [original.InceptionE] * 2
        if fid:
            a, c = theirs.FIDInceptionA, theirs.FIDInceptionC
            e = theirs.FIDInceptionE_1, theirs.FIDInceptionE_2
        model.Mixed_5b, model.Mixed_6a = a(192, 32), original.InceptionB(256)
        model.Mixed_6b = c(736, 128)
        model.Mixed_7b, model.Mixed_7c = e[0](1280), e[1](2048)
    finally:
        original.BasicConv2d = usual
    for name in LEFT_OUT:
        setattr(model, name, nn.Identity())
    model.fc = nn.Linear(2048 // NARROW, 10)
    return model


def case(fid: bool) -> Case:
    """Of one form."""
    blocks = {
        f"block_{i}_{j}": f"Mixed_{i + 5}{chr(ord('a') + j + (i == 0))}"
        for i, stage in enumerate(STAGES)
        for j in range(len(stage))
    }
    stem = ("1a_3x3", "2a_3x3", "2b_3x3", "3b_1x1", "4a_3x3")
    blocks |= {f"stem_{i}": f"Conv2d_{theirs}" for i, theirs in enumerate(stem)}
    return Case(
        lambda: make(fid),
        (6, 139, 139, 3),
        "inception_v3_fid" if fid else "inception_v3",
        dict(stages=STAGES, shrink=NARROW, dropout=0.0, num_classes=10),
        "torchvision",
        blocks=blocks,
        pyramid={
            2: "Conv2d_2b_3x3", 4: "Conv2d_4a_3x3", 8: "Mixed_5b", 16: "Mixed_6b", 32: "Mixed_7c",
        },
    )  # fmt: skip


CASES = {"inception_fid": case(True), "inception_torchvision": case(False)}
