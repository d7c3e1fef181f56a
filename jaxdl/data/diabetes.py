"""How diabetes goes on within a year, of 442 patients: comes with scikit-learn."""

import numpy as np

from jaxdl.data import Data, register, tabular


@register("diabetes")
def diabetes(
    split: str = "random",
    test_fraction: float = 0.2,
    validation_fraction: float = 0.2,
    split_seed: int = 0,
    eval_on: str = "test",
) -> Data:
    """``features`` (n, 10) float32, in their own units, and ``target`` (n, 1), from 25 to 346.

    Efron, Hastie, Johnstone and Tibshirani, 2004, "Least angle regression": age, sex, body mass
    index, blood pressure and six figures of the blood serum; the target is a measure of how far the
    disease has gone on a year later.

    Args:
      split: as `config.data` has it; so are the others.
      test_fraction: of the test part.
      validation_fraction: of what is then left, that is held out to choose by.
      split_seed: of both draws.
      eval_on: "test" or "validation".
    """
    from sklearn.datasets import load_diabetes

    found = load_diabetes(scaled=False)
    own = {"features": np.float32(found.data), "target": np.float32(found.target)[:, None]}
    examples = tabular.Examples(own, found.feature_names, ["progression"])
    cut = tabular.Cut(split, test_fraction, split_seed, eval_on, validation_fraction)
    return tabular.data({"train": examples}, cut)
