"""Writes jaxdl/pretrained/photographs_vgg.npz: the classifier by which losses see pictures.

    PYTHONPATH=. python tests/golden/make_photographs_vgg.py

A run that learns to tell parts of two photographs from each other (`jaxdl.data.photograph_tiles`),
whose convolutions are kept in float16: what is behind them no loss looks at. Rounding differs
between machines and versions: made anew, this file is another network, and so are all figures of
style by it.
"""

import tempfile
from pathlib import Path

import numpy as np

from jaxdl import launch
from jaxdl.config import default
from jaxdl.data import load
from jaxdl.pretrained import perception
from jaxdl.pretrained.architecture import by_name
from jaxdl.runs import checkpoint

ROOT = Path(__file__).parent.parent.parent

FLAGS = (
    "--config.data.name=photograph_tiles",
    "--config.model.stages=(1,1,1,1)",
    "--config.model.channels=(16,32,48,64)",
    "--config.model.hidden=128",
    "--config.model.dropout=0.",
    "--config.optimizer.learning_rate=4e-3",
    "--config.eval.every=200",
    "--config.augment.flip=true",
    "--config.augment.shift=0",
    "--config.augment.rotate=0.",
    "--config.augment.zoom=0.",
    "--config.epochs=6.",
    "--config.parallel.data=1",
    "--config.log.report=false",
)


def main():
    """Trains, writes, and says how many tiles of the test part are named rightly."""
    with tempfile.TemporaryDirectory() as folder:
        argv = [f"--config={ROOT / 'experiments' / 'vgg.py'}", f"--workdir={folder}", *FLAGS]
        if code := launch.main(argv):
            raise SystemExit(code)
        state = checkpoint.restore(Path(folder), None)
    learned = load({**default().data, "name": "photograph_tiles"})
    found = {
        name: np.asarray(x)
        for name, x in by_name({"params": state["params"], **state["model_state"]}).items()
    }
    kept = {name: x.astype(np.float16) for name, x in found.items() if "block_" in name}
    about = dict(mean=learned.mean, std=learned.std, classes=len(learned.class_names))
    np.savez_compressed(ROOT / "jaxdl" / "pretrained" / "photographs_vgg.npz", **about, **kept)
    seen = perception.create("", "", perception_layers())
    print(f"{sum(x.size for x in kept.values())} parameters of {sorted(seen.layers)}")


def perception_layers():
    """All that there are."""
    return [f"relu{i}_1" for i in range(1, 5)]


if __name__ == "__main__":
    main()
