"""Real handwritten digits that come with scikit-learn: nothing to download."""

import numpy as np

from jaxdl.data import Source, register
from jaxdl.data.arrays import labelled_images


@register("digits")
def digits(image_size: int = 0) -> Source:
    """1797 images (8, 8, 1) float32 in [0, 1] of the digits 0 to 9.

    Alpaydin and Kaynak, 1998, "Optical Recognition of Handwritten Digits", UCI; the part that
    scikit-learn ships. Writers follow one another, so the halves split has others on each side.

    Args:
      image_size: pixels a side that they are brought to, bilinearly; 0 keeps the 8.
    """
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    images = images.reshape(-1, 8, 8).astype(np.float32) / 16
    if image_size:
        images = np.stack([_resized(image, image_size) for image in images])
    return Source(labelled_images(images, labels, "digits"))


def _resized(image: np.ndarray, size: int) -> np.ndarray:
    from PIL import Image

    return np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling.BILINEAR))
