"""Tumours of the breast, 569 of them, benign or malignant: comes with scikit-learn."""

import numpy as np

from jaxdl.data import Data, register, tabular


@register("breast_cancer")
def breast_cancer(
    split: str = "random",
    test_fraction: float = 0.2,
    validation_fraction: float = 0.2,
    split_seed: int = 0,
    eval_on: str = "test",
    balanced: bool = False,
) -> Data:
    """``features`` (n, 30) float32, in their own units, and ``label`` (n,), 1 if malignant.

    Street, Wolberg and Mangasarian, 1993, "Nuclear feature extraction for breast tumor diagnosis":
    how the nuclei of cells look in a picture of a fine needle aspirate. 212 are malignant.

    Args:
      split: as `config.data` has it; so are the others.
      test_fraction: of the test part.
      validation_fraction: of what is then left, that is held out to choose by.
      split_seed: of both draws.
      eval_on: "test" or "validation".
      balanced: whether both classes are drawn as frequently.
    """
    from sklearn.datasets import load_breast_cancer

    found = load_breast_cancer()
    own = {"features": np.float32(found.data), "label": np.int32(found.target == 0)}
    examples = tabular.Examples(own, [str(name) for name in found.feature_names], ["tumour"])
    cut = tabular.Cut(split, test_fraction, split_seed, eval_on, validation_fraction)
    names = ("benign", "malignant")
    return tabular.data({"train": examples}, cut, class_names=names, equal=balanced)
