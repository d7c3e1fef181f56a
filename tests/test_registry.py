"""Names to things, without importing all of them."""

import os
import subprocess
import sys

import pytest
from launching import ROOT

from jaxdl import models, tasks
from jaxdl.errors import UserError


def imported(said):
    """The models and tasks that a program of one line of ours has imported."""
    said += (
        "\nimport sys\n"
        "print(*(m for m in sys.modules if m.startswith(('jaxdl.models.', 'jaxdl.tasks.'))))"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", said], env=env, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return {name.split(".")[2] for name in done.stdout.split()}


def test_a_launch_imports_its_own_model_and_task_alone():
    """All of them take half a second from each command."""
    found = imported(
        "from jaxdl import config, experiment\n"
        "settings = config.default()\n"
        "settings.data.name, settings.model = 'synthetic', dict(name='vit_s16', depth=1)\n"
        "settings.steps = 1\n"
        "experiment.check(experiment.complete(settings))\n"
        "assert experiment.build.usual(settings)['model.depth'] == 12\n"
    )
    assert {"vit", "classification"} <= found
    assert not {"vgg", "t5", "gat", "stylegan2", "rlhf", "link_prediction"} & found


def test_what_bears_another_name_than_its_module_is_found():
    for name in ("vit_s16", "gatv2", "resnet18"):
        assert models.knows(name)
    for name in ("", "vit_s17"):
        assert not models.knows(name)
    assert tasks.knows("classification")
    assert not tasks.knows("vit")
    with pytest.raises(UserError, match=r"unknown model 'vit_s17'.*vit_s16"):
        models.create("vit_s17")


def test_no_name_is_told_those_there_are():
    """Also where nothing was imported before."""
    said = (
        "from jaxdl import tasks\n"
        "from jaxdl.errors import UserError\n"
        "try:\n"
        "    tasks.settings('')\n"
        "except UserError as error:\n"
        "    assert 'adversarial' in str(error), error\n"
        "else:\n"
        "    raise AssertionError('no error')\n"
    )
    assert "adversarial" in imported(said)


def test_a_published_model_is_read_without_what_trains_others():
    """Optimizers, checkpoints of runs and other architectures: 20 MB and a quarter of a second."""
    said = (
        "import sys\n"
        "from jaxdl.pretrained import catalog\n"
        "assert catalog.of_type('whisper', 'here').model_types == ('whisper',)\n"
        "found = {'optax', 'tensorstore', 'jaxdl.pretrained.transfer'} & {*sys.modules}\n"
        "assert not found, found"
    )
    assert not {"resnet", "faster_rcnn", "bert"} & imported(said)
