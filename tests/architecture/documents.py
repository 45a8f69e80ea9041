"""The documents as a test sees them: their code, their tables, their links."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"^ {4}(?=\S)(.*)$", re.MULTILINE)
_INLINE = re.compile(r"`([^`\n]+)`")


def read(name: str) -> str:
    return (ROOT / name).read_text()


def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks in a language."""
    return [content for found, content in _BLOCK.findall(text) if found == language]


def snippets(text: str) -> list[str]:
    """Everything set as code: the lines of fenced and indented blocks, and what stands between backticks."""
    lines = [line for _, content in _BLOCK.findall(text) for line in content.splitlines()]
    prose = _BLOCK.sub("", text)
    return [*lines, *_INDENTED.findall(prose), *_INLINE.findall(prose)]


def rows(text: str, heading: str) -> list[list[str]]:
    """The cells of the first table below a heading, without backticks; its head is left out."""
    _, found, below = text.partition(f"\n## {heading}\n")
    assert found, f"there is no heading {heading}"
    table = re.search(r"^\|.*\|\n\|[-|: ]+\|\n((?:\|.*\|\n)+)", below, re.MULTILINE)
    assert table, f"there is no table below {heading}"
    return [[cell.strip().replace("`", "") for cell in line.strip("|").split("|")] for line in table[1].splitlines()]


def anchors(text: str) -> set[str]:
    """What `#…` may lead to: the headings, as code hosts spell them."""
    headings = re.findall(r"^#+ (.*)$", _BLOCK.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
