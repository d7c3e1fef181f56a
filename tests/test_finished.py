"""What a run of each kind of learning leaves, and that it goes on where it was cut."""

import json

import numpy as np
import pytest
import tiny
from launching import ROOT, figures, summary

from jaxdl import launch, tasks
from jaxdl.launch import flags
from jaxdl.pretrained import catalog

# What a report shows beside what every report shows.
PICTURES = {
    "a2c:a3c": "Returns and lengths",
    "autoencoder:sparse": "Between two images",
    "bert": "Hidden and said",
    "dcgan": "Generated, and nearest in training",
    "ddpm": "Denoising",
    "dqn": "Episode",
    "gcn": "Graph",
    "gpt": "Most surprising",
    "lstm:mackey_glass": "Error by horizon",
    "ppo": "Episode",
    "preferences": "Policy",
    "preferences:rlhf": "Policy",
    "preferences:rlhf_t5": "Policy",
    "q_learning": "Policy: frozen lake 4x4",
    "t5:numbers": "Cross-attention",
    "vae": "Codes by class",
    "wgan:gradient_penalty": "Generated, and nearest in training",
    "whisper:ctc": "Spectrograms",
}
# The same update as of another task, of another loss, or of what is heard and not read or seen; the
# two that hear, segmentation, what makes pictures larger and what translates them are cut and go on
# in tests/test_recognising.py, test_sound_classification.py, test_segmentation.py,
# test_image_to_image.py and test_image_translation.py; style's in test_style_transfer.py, drawn
# neighbourhoods' in test_sampled_nodes.py and test_links.py, of odd nodes in test_node_anomaly.py,
# and what learns vectors in test_embedding.py.
LIKE_ANOTHER = {
    *("detection", "question_answering", "text_classification", "token_classification"),
    *("sound_classification", "transcription", "segmentation", "image_to_image"),
    *("image_translation", "unpaired_translation", "style_optimisation", "style_transfer"),
    *("stylegan2", "graph_classification", "sampled_node_classification", "embedding"),
    *("link_prediction", "sampled_link_prediction", "node_anomaly"),
    *("reward_model", "regression", "multi_label"),
}
# These log no norms of layers.
WITHOUT_LAYERS = ("q_learning", "optimizers")  # the latter trains a population


def config_flag(experiment):
    name, colon, variant = experiment.partition(":")
    return f"--config={ROOT / 'experiments' / name}.py{colon}{variant}"


def settings(folder):
    return json.loads((folder / "config.json").read_text())


@pytest.mark.parametrize("experiment", tiny.FINISHED)
def test_a_run_that_was_cut_ends_like_one_that_was_not(experiment, finished, goes_on):
    goes_on(experiment)
    if experiment in tiny.FOR_USERS:
        whole = finished(experiment)
        per_call = [summary(run)["steps_per_call"] for run in (whole, whole.parent / "cut")]
        assert per_call[0] != per_call[1]


@pytest.mark.parametrize("experiment", tiny.FINISHED)
def test_a_run_leaves_everything_it_promises(experiment, finished):
    folder = finished(experiment)
    found, config = summary(folder), settings(folder)
    steps, every = config["steps"], config["log.every"]
    assert found["steps"] == steps
    assert len(found["final"]) > 1
    assert np.isfinite(list(found["final"].values())).all()
    assert found["examples_per_second"] > 0
    logged = [line["step"] for line in figures(folder, "train")]
    assert logged == sorted({*range(every, steps + 1, every), steps})
    assert figures(folder, "eval")[-1]["step"] == steps
    headings = ["Curves", "Parameters", "Settings", PICTURES.get(experiment, "Most wrong")]
    if experiment not in WITHOUT_LAYERS:
        layers = figures(folder, "layers")[-1]
        assert set(layers["gradient_norm"]) == set(layers["update_norm"])
        headings.append("Gradient flow")
    page = (folder / "report.html").read_text()
    for heading in headings:
        assert f"<h2>{heading}</h2>" in page
    assert "http" not in page.replace("http://www.w3.org", "")  # self-contained


@pytest.mark.parametrize(
    "experiment, told",
    [("bert", "answers by --mode=predict alone"), ("dqn", "tells nothing of images or sounds")],
)
def test_what_has_no_export_is_one_line(experiment, told, finished, capsys):
    folder = finished(experiment)
    assert launch.main(["--mode=export", f"--workdir={folder}"]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1
    assert not (folder / "export").exists()


def test_a_model_that_transformers_has_not_is_told_by_export(finished, capsys, monkeypatch):
    monkeypatch.setattr(catalog, "architectures", list)  # as of a recurrent model of texts
    assert launch.main(["--mode=export", f"--workdir={finished('gpt')}"]) == 2
    told = "what writes texts is exported as transformers has it: no published checkpoints"
    assert told in capsys.readouterr().err


def test_every_task_is_among_them():
    found = {flags.parse([config_flag(name)]).config.task.name for name in tiny.FINISHED}
    assert found | LIKE_ANOTHER == set(tasks.names())
