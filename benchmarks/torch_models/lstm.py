"""LSTM language model: embedding, two layers, a linear output of its own."""

import torch
from torch import nn


class Model(nn.Module):
    """Predicts the next token from a state that starts at zero."""

    def __init__(self, shape, classes, width, depth):
        super().__init__()
        self.embed = nn.Embedding(classes, width)
        self.lstm = nn.LSTM(width, width, depth, batch_first=True)
        self.head = nn.Linear(width, classes)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """(batch, T) -> (batch, T, classes)."""
        return self.head(self.lstm(self.embed(tokens))[0])

    def arrange(self, arrays: dict) -> dict:
        """Our layers stand side by side, these inside one module."""
        return {name.replace("lstm_", "lstm/"): x for name, x in arrays.items()}
