"""Real handwritten digits that come with scikit-learn: nothing to download."""

from jaxdl.data import Source, register
from jaxdl.data.arrays import labelled_images


@register("digits")
def digits() -> Source:
    """1797 images (8, 8, 1) float32 in [0, 1] of the digits 0 to 9.

    Alpaydin and Kaynak, 1998, "Optical Recognition of Handwritten Digits", UCI; the part that
    scikit-learn ships. Writers follow one another, so the halves split has others on each side.
    """
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    return Source(labelled_images(images.reshape(-1, 8, 8) / 16.0, labels, "digits"))
