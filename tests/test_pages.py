"""Links of README and docs lead somewhere, as GitHub and the site's generator follow them."""

import re
from pathlib import Path

import pytest
from launching import ROOT

import jaxdl

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK, CODE = re.compile(r"^(```|~~~).*?^\1\s*$", re.M | re.S), re.compile(r"`[^`\n]+`")
HEADING = re.compile(r"^#+ (.+?)#*$", re.M)
LINK = re.compile(
    r"\]\(([^)\s]+)(?:\s+\"[^\"]*\")?\)|<(?:img|a)\s[^>]*?(?:src|href)=[\"']([^\"']+)"
)
ELSEWHERE = re.compile(r"[a-z]+:")


def links(text: str) -> list[str]:
    """The targets within the repository that a page of Markdown links to, code left out."""
    found = (a or b for a, b in LINK.findall(CODE.sub("", BLOCK.sub("", text))))
    return [target for target in found if not ELSEWHERE.match(target)]


def anchors(text: str) -> set[str]:
    """Those that GitHub gives the headings of a page: a name that comes again gets a number."""
    seen: dict[str, int] = {}
    for heading in HEADING.findall(BLOCK.sub("", text)):
        name = re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")
        seen[name] = seen.get(name, -1) + 1
        if seen[name]:
            seen[f"{name}-{seen[name]}"] = 0
    return set(seen)


def broken(page: Path, text: str) -> list[str]:
    """The links of a page that lead nowhere."""
    wrong = []
    for target in links(text):
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        if file != page and not (file.is_relative_to(ROOT.resolve()) and file.exists()):
            wrong.append(target)
        elif anchor and file.suffix == ".md":
            own = text if file == page else file.read_text()
            if anchor not in anchors(own):
                wrong.append(target)
    return wrong


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    assert broken(page, page.read_text()) == []


def test_what_leads_nowhere_is_found():
    page = ROOT / "docs" / "written.md"
    text = (
        "# A (B), `c` and d\n## Same\n## Same\n`[x](y)`\n"
        "[1](using.md) [2](#a-b-c-and-d) [3](#same-1)\n"
        "```\n# [no](heading.md)\n```\n[4](scale.md#any-devices) [5](https://nowhere.invalid/x)\n"
        "![6](gone.png) [7](#same-2) [8](using.md#gone) <img src='lost.svg'> [9](../../out.md)\n"
        "[10](#no)\n"
    )
    assert broken(page, text) == [
        "gone.png", "#same-2", "using.md#gone", "lost.svg", "../../out.md", "#no",
    ]  # fmt: skip


def test_the_reference_has_every_public_part():
    page = (ROOT / "docs" / "api" / "index.rst").read_text()
    there = set(re.findall(r"^   jaxdl\.([\w.]+)$", page, re.M))
    assert set(jaxdl._PARTS.values()) <= there
