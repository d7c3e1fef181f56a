"""What `jaxdl.inference.export` writes of a model that makes pictures of pictures."""

# Written beside the program, as an example of its use; READ is how jaxdl reads pictures.
SCRIPT = '''\
"""What the model beside this file makes of a picture: python example.py photo.jpg"""

import json, pathlib, sys
import jax.export, numpy as np
from PIL import Image


READ

here = pathlib.Path(__file__).parent
about = json.loads((here / "model.json").read_text())
model = jax.export.deserialize(bytearray((here / "model.jaxexport").read_bytes()))
image = plain(Image.open(sys.argv[1])).convert(about["input"]["mode"])
_, height, width, channels = about["input"]["shape"]
if isinstance(height, int):  # it takes no other
    image = image.resize((width, height), Image.Resampling.BICUBIC)
found = model.call(np.asarray(image).reshape(1, image.height, image.width, channels))
for name, array in found.items():
    made = np.asarray(array[0])
    Image.fromarray(made[..., 0] if channels == 1 else made).save(f"{name}.png")
    print(f"{made.shape[1]} x {made.shape[0]} pixels in {name}.png")
'''
