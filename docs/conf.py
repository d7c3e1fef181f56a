"""How the documentation is built: ``sphinx-build -W --keep-going docs build/docs``."""

import os

os.environ.setdefault("JAX_PLATFORMS", "cpu")  # what is imported here needs no accelerator

import jaxdl

project = "jaxdl"
version = release = jaxdl.__version__
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
]
templates_path = ["_templates"]
html_theme = "furo"
html_title = "jaxdl"

# Anchors of headings as GitHub makes them.
myst_heading_anchors = 4

# Docstrings name arguments, files and code in single backticks too: no cross references, but code.
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "none"
napoleon_numpy_docstring = False
napoleon_use_ivar = True


def _is_told_of_above(app, what, name, member, skip, options):
    """Leaves out the fields of a NamedTuple: its docstring has them under "Attributes"."""
    return skip or str(getattr(member, "__doc__", "")).startswith("Alias for field number")


def setup(app):
    """What Sphinx calls once the settings are read."""
    app.connect("autodoc-skip-member", _is_told_of_above)
