"""Figures on disk: one file for a processor and a jax version, so that several stand side by side.

    {"about": {"processor", "flags", "cores", "python", "jax", "torch", …},
     "workloads": {"float32": {name: figures}, "bf16": {name: figures}}}

A kind of comparison has a folder of its own in benchmarks/results/.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.workloads import ROOT

RESULTS = ROOT / "benchmarks" / "results"
TRAINING, CONTROL, LANGUAGE = (RESULTS / name for name in ("training", "control", "language"))

# Measured at other times than the rest, so that it may differ.
_APART = "workloads"


def file_of(about: Mapping[str, Any], folder: Path) -> Path:
    """Where results about a processor and a jax version are kept, by the names of both.

    The processor's is followed by the latest of its instruction sets: a maker's short name ("AMD
    EPYC") may stand for several generations.
    """
    parts = re.findall(r"[a-z0-9.]+", " ".join(_machine(about)).lower())
    return folder / f"{'-'.join(parts)}-jax-{_jax(about) or 'unknown'}.json"


def merged(results: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """``results`` with what the file of their name holds and they do not.

    Only if both are about the same: another torch, Python or number of cores drops the old ones.
    """
    file = file_of(results["about"], folder)
    old = json.loads(file.read_text()) if file.exists() else {"about": None}
    if old["about"] != results["about"]:
        return dict(results)
    kinds = {**old[_APART], **results[_APART]}
    both = {kind: {**old[_APART].get(kind, {}), **results[_APART].get(kind, {})} for kind in kinds}
    return {**results, _APART: both}


def keep(results: Mapping[str, Any], folder: Path) -> Path:
    """Writes the file of ``results``, merged with what it held; returns where it is."""
    file = file_of(results["about"], folder)
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(merged(results, folder), indent=1, ensure_ascii=False) + "\n"
    file.write_text(text)
    return file


def stored(folder: Path) -> list[dict[str, Any]]:
    """All results of a folder, by processor and then from the oldest jax to the newest."""
    found = [json.loads(file.read_text()) for file in folder.glob("*.json")]
    return sorted(found, key=lambda results: _rank(results["about"]))


def _rank(about: Mapping[str, Any]) -> tuple:
    version = [int(number) for number in re.findall(r"\d+", _jax(about) or "")]
    return about["processor"], about.get("flags") or [], version


def _jax(about: Mapping[str, Any]) -> str | None:
    return (about.get("jax") or {}).get("jax")


def _machine(about: Mapping[str, Any]) -> list[str]:
    """The processor's short name, and the latest of its instruction sets where they are known."""
    return [_named(about["processor"]), *(about.get("flags") or [])[-1:]]


def _named(processor: str) -> str:
    """Without trade marks, the clock and words that say nothing."""
    return " ".join(re.sub(r"\((R|TM)\)|Processor|CPU|@.*", " ", processor).split())


def heading(about: Mapping[str, Any]) -> str:
    """The processor with its flags, cores and versions, in words."""
    words = ", ".join([about["processor"], *(about.get("flags") or [])])
    words += f"; {about['cores']} cores used; jax {_jax(about)}"
    if torch := about.get("torch"):
        words += f", torch {torch['torch']} with {torch['threads']} threads"
    return words + (f", Python {about['python']}" if about.get("python") else "")


def short(about: Mapping[str, Any]) -> str:
    """The same in few words, for a chart's legend."""
    return f"{', '.join(_machine(about))}; jax {_jax(about)}"
