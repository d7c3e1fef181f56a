#!/usr/bin/env bash
# safetensors 0.8.0: save_file of torch tensors writes a conjugate unconjugated, and says nothing.
# Expected: what is read is what was given, as torch.save and torch.load have it.
# Seen: of z = 1 + 2i, 3 - 4i the file of z.conj() has 1 + 2i, 3 - 4i; the adjoint of a complex kernel
# with one column comes back as its transpose. PyTorch conjugates a view when it is used, until then
# that is a mark beside the numbers; is_contiguous() is true of it, so nothing asks for a copy.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet torch==2.13.0 safetensors==0.8.0 numpy==2.4.6
"$folder/env/bin/python" - "$folder" <<'PY'
import sys

import torch
from safetensors.torch import load_file, save_file

kernel = torch.tensor([[1 + 2j], [3 - 4j]])
given = {"conjugate": kernel[:, 0].conj(), "adjoint": kernel.mH, "plain": kernel[:, 0].clone()}
assert all(x.is_contiguous() for x in given.values())
for ending, save, load in (("pt", torch.save, torch.load), ("safetensors", save_file, load_file)):
    found = {}
    for name, x in given.items():
        save({name: x}, f"{sys.argv[1]}/{name}.{ending}")
        read = load(f"{sys.argv[1]}/{name}.{ending}")[name]
        found[name] = bool(torch.equal(read, x.resolve_conj()))
        print(ending, name, "given", x.resolve_conj().tolist(), "read", read.tolist())
    right = {"conjugate": ending == "pt", "adjoint": ending == "pt", "plain": True}
    assert found == right, "this has changed"
PY
