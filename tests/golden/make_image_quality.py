"""Writes image_quality.npz: PSNR and SSIM of scikit-image, for tests/test_image_quality.py.

    pip install scikit-image==0.26.0
    python tests/golden/make_image_quality.py

Pictures are drawn, smooth, with noise over them (seeded.py and `pictures` below).
"""

import sys
from pathlib import Path

import numpy as np
import skimage
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import seeded  # noqa: E402

# {name: (shape, noise, peak)}; of the brightest that there is.
CASES = {
    "grey": ((16, 23, 1), 0.1, 1.0),
    "colour": ((24, 17, 3), 0.03, 1.0),
    "bytes": ((20, 20, 3), 0.2, 255.0),
    "smallest": ((11, 11, 1), 0.05, 1.0),
    "flat": ((14, 14, 1), 0.001, 1.0),
}


def main():
    """Writes the file."""
    made = {}
    for name, (shape, noise, peak) in CASES.items():
        x, y = seeded.pictures(name, shape, noise, peak)
        made[f"{name}/psnr"] = peak_signal_noise_ratio(y, x, data_range=peak)
        made[f"{name}/ssim"] = structural_similarity(
            x, y, data_range=peak, channel_axis=-1, gaussian_weights=True, sigma=1.5,
            use_sample_covariance=False,
        )  # fmt: skip
    about = f"scikit-image {skimage.__version__}"
    np.savez_compressed(HERE / "image_quality.npz", made_with=about, **made)


if __name__ == "__main__":
    main()
