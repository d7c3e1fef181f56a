"""GoogLeNet, as torchvision has it and in the paper's form, with an eighth of its channels.

Most of its nine blocks are left out: with all of them, behind 22 batch norms in training, the
original's own float32 is 4e-5 from its float64, and gradients are a percent and more.
"""

from make_classifiers import Case
from torch import nn
from torchvision.models.googlenet import BasicConv2d, GoogLeNet, Inception, InceptionAux

NARROW = 8
FOUR = ((24, 12, 26, 2, 6, 8), (20, 14, 28, 3, 8, 8), (16, 16, 32, 3, 8, 8), (14, 18, 36, 4, 8, 8))
# Without and with auxiliary heads, which lie behind the first and the fourth block of a stage.
STAGES = {
    False: (((16, 16, 24, 4, 12, 8),), FOUR[:1], ((48, 24, 48, 6, 16, 16),)),
    True: ((), FOUR, ()),
}
HIDDEN = 32


def narrow(channels: int) -> int:
    """An eighth of all but the image's."""
    return channels if channels == 3 else channels // NARROW


def normed(before, after, **how):
    """torchvision's convolution with batch norm."""
    return BasicConv2d(narrow(before), narrow(after), **how)


class Plain(nn.Module):
    """The paper's convolution, with a bias."""

    def __init__(self, before, after, **how):
        super().__init__()
        self.conv = nn.Conv2d(narrow(before), narrow(after), **how)

    def forward(self, x):
        """Convolves and rectifies."""
        return self.conv(x).relu()


def make(conv, aux: bool, transform_input: bool = False) -> GoogLeNet:
    """torchvision's, built of these convolutions."""
    blocks = [
        conv,
        lambda *how: Inception(*how, conv_block=conv),
        lambda *how, **more: InceptionAux(*how, conv_block=conv, **more),
    ]
    model = GoogLeNet(10, aux, transform_input, False, blocks, dropout=0.0, dropout_aux=0.0)
    model.inception3b = model.inception4e = model.inception5b = nn.Identity()
    if aux:
        model.inception3a = model.inception5a = nn.Identity()
        model.inception4a = Inception(192, 192, 96, 208, 16, 48, 64, conv_block=conv)
        model.fc = nn.Linear(528 // NARROW, 10)
    else:
        model.inception3a = Inception(192, 128, 128, 192, 32, 96, 64, conv_block=conv)
        model.inception4b = model.inception4c = model.inception4d = nn.Identity()
        model.inception5a = Inception(512, 384, 192, 384, 48, 128, 128, conv_block=conv)
        model.fc = nn.Linear(1024 // NARROW, 10)
    for head in filter(None, (model.aux1, model.aux2)):
        head.fc1, head.fc2 = nn.Linear(2048 // NARROW, HIDDEN), nn.Linear(HIDDEN, 10)
    return model


def paper(aux: bool) -> GoogLeNet:
    """5x5 convolutions, pools of 3x3, response normalisation; 5x5 windows in front of a head."""
    model = make(Plain, aux)
    for block in model.children():
        if isinstance(block, Inception):
            conv = block.branch3[1].conv
            block.branch3[1].conv = nn.Conv2d(conv.in_channels, conv.out_channels, 5, padding=2)
    respond = lambda: nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=1.0)
    model.maxpool1 = nn.Sequential(model.maxpool1, respond())
    model.maxpool2 = nn.Sequential(respond(), model.maxpool2)
    model.maxpool4 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
    for head in filter(None, (model.aux1, model.aux2)):
        windows = lambda module, inputs: (nn.functional.avg_pool2d(inputs[0], 5, 3),)
        head.register_forward_pre_hook(windows)
    return model


def case(model, image, ours: str, aux: bool = False, **fields) -> Case:
    """A narrow one of the model named."""
    stages = STAGES[aux]
    names = {
        f"block_{i}_{j}": f"inception{i + 3}{'abcd'[j]}"
        for i, stage in enumerate(stages)
        for j in range(len(stage))
    }
    last = ("maxpool2", "inception4d", "maxpool4") if aux else [*names.values()]
    stem = (64 // NARROW, 64 // NARROW, 192 // NARROW)
    small = dict(stem=stem, stages=stages, aux=aux, aux_features=128 // NARROW, aux_hidden=HIDDEN)
    return Case(
        model,
        image,
        ours,
        dict(**small, dropout=0.0, aux_dropout=0.0, num_classes=10, **fields),
        "torchvision",
        blocks=names | {f"stem_{i}": f"conv{i + 1}" for i in range(3)},
        pyramid={2: "conv1", 4: "conv3"} | {2 ** (3 + i): theirs for i, theirs in enumerate(last)},
        auxiliary=(0.3, 0.3) if aux else (),
    )


CASES = {
    # 20 pixels become 10, 5 become 3: ceil-mode pools reach over the edge.
    "googlenet": case(
        lambda: make(normed, False, True), (4, 80, 80, 3), "googlenet", transform_input=True
    ),
    "googlenet_aux": case(lambda: make(normed, True), (4, 80, 80, 3), "googlenet", aux=True),
    "googlenet_paper": case(lambda: paper(False), (4, 80, 80, 3), "googlenet_paper"),
    "googlenet_paper_aux": case(lambda: paper(True), (2, 224, 224, 3), "googlenet_paper", aux=True),
}
