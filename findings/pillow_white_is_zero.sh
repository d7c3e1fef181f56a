#!/usr/bin/env bash
# Pillow 13.0.0: of two TIFFs of one grey picture, both saying that 0 is white, the one of 8 bits is
# turned round when it is opened and the one of 16 bits is not: it comes out as its negative.
# Expected: both look alike, PhotometricInterpretation 0 being WhiteIsZero at any depth (TIFF 6.0,
# section 4).
# Seen: the stored values 0, 1/5 ... 1 of white come out as 255 ... 0 of 8 bits and 0 ... 65535 of 16.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet pillow==13.0.0 numpy==2.4.6
"$folder/env/bin/python" - <<'PY'
import io
import struct

import numpy as np
from PIL import Image


def opened(stored, bits):
    pixels = stored.tobytes()
    fields = {256: len(stored), 257: 1, 258: bits, 259: 1, 262: 0, 273: 8, 277: 1, 278: 1}
    fields[279] = len(pixels)
    listed = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in fields.items())
    head = struct.pack("<2sHI", b"II", 42, 8 + len(pixels))
    file = head + pixels + struct.pack("<H", len(fields)) + listed + bytes(4)
    return np.asarray(Image.open(io.BytesIO(file)))[0]


shares = np.arange(6) / 5
eight = opened((shares * 255).astype("u1"), 8)
sixteen = opened((shares * 65535).astype("<u2"), 16)
print("8 bits", eight, "16 bits", sixteen)
assert eight.tolist() == [255, 204, 153, 102, 51, 0], "this has changed"
assert sixteen.tolist() == [0, 13107, 26214, 39321, 52428, 65535], "this has changed"
PY
