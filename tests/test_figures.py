"""The published figures, by the published commands: slow, one after another."""

import pytest
from launching import ROOT, summary

from jaxdl import launch

# Experiment, range of each figure after the last step, and most seconds on two cores. The first
# three's are the README's; the others' are those of the experiments' files, which are medians, and
# a little room, since a single run on another processor draws another path.
FIGURES = [
    ("mlp", {"accuracy": (0.975, 1)}, 30),
    ("deep_cnn", {"accuracy": (0.990, 1)}, 60),
    ("vit", {"accuracy": (0.980, 1)}, 180),
    ("gcn", {"accuracy": (0.94, 1)}, None),
    ("gcn:digits", {"accuracy": (0.95, 1)}, None),
    ("ppo", {"mean_return": (475, 500)}, None),
    ("ppo:acrobot", {"mean_return": (-100, 0)}, None),
    ("dqn", {"mean_return": (475, 500)}, None),
    ("dcgan", {"two_sample_accuracy": (0.5, 0.75), "least_class_share": (0.03, 0.1)}, None),
    ("wgan", {"two_sample_accuracy": (0.5, 0.7), "copies": (0.8, 1.5)}, None),
    (
        "ddpm",
        {
            "two_sample_accuracy": (0.5, 0.68),
            "ancestral_two_sample_accuracy": (0.5, 0.68),
            "copies": (0.8, 1.5),
            "named_right": (0.95, 1),
        },
        None,
    ),
]


@pytest.mark.slow
@pytest.mark.parametrize("experiment, ranges, seconds", FIGURES, ids=[f[0] for f in FIGURES])
def test_experiment_reaches_its_figure(experiment, ranges, seconds, tmp_path):
    name, colon, variant = experiment.partition(":")
    file = ROOT / "experiments" / f"{name}.py{colon}{variant}"
    assert (
        launch.main([f"--config={file}", f"--workdir={tmp_path}", "--config.parallel.data=1"]) == 0
    )
    found = summary(tmp_path)
    # The last evaluation, not the best: a best of many on the test part would be chosen by it.
    for metric, (least, most) in ranges.items():
        assert least <= found["final"][metric] <= most
    if seconds is not None:
        assert found["train_seconds"] + found["compile_seconds"] <= seconds
