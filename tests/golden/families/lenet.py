"""LeNet-5 as a plain PyTorch module: no library has it."""

from make_classifiers import Case
from torch import nn


class LeNet(nn.Module):
    """The paper's, with every map of the second convolution connected to all of the first."""

    def __init__(self, padding=0, pool=nn.AvgPool2d, activation=nn.Tanh):
        super().__init__()
        self.conv1, self.act1, self.pool1 = (
            nn.Conv2d(1, 6, 5, padding=padding),
            activation(),
            pool(2),
        )
        self.conv2, self.act2, self.pool2 = nn.Conv2d(6, 16, 5), activation(), pool(2)
        self.fc1, self.act3 = nn.Linear(16 * 5 * 5, 120), activation()
        self.fc2, self.act4 = nn.Linear(120, 84), activation()
        self.fc3 = nn.Linear(84, 10)

    def forward(self, x):
        """(batch, 1, h, w) -> (batch, 10)."""
        x = self.pool1(self.act1(self.conv1(x)))
        x = self.pool2(self.act2(self.conv2(x)))
        x = self.act3(self.fc1(x.flatten(1)))
        return self.fc3(self.act4(self.fc2(x)))


BLOCKS = {"block_0": "act1", "block_1": "act2", "dense": "fc2"}
PYRAMID = {1: "act1", 2: "act2"}

CASES = {
    "lenet": Case(LeNet, (4, 32, 32, 1), "lenet", {}, "torch", blocks=BLOCKS, pyramid=PYRAMID),
    "lenet_max": Case(
        lambda: LeNet(2, nn.MaxPool2d, nn.ReLU),
        (4, 28, 28, 1),
        "lenet",
        dict(padding=2, pool="max", activation="relu"),
        "torch",
        blocks=BLOCKS,
        pyramid=PYRAMID,
    ),
}
