"""The clock model's constants, as the comments above them explain them.

Every private constant of `rxstream.timing.online`, and the few public ones, with its value, its
meaning and its source. A source is what a comment puts in brackets, as in "(trial)", or a sentence
of it that names the study, a trial, a paper or a fit; `rxstream.timing` says what these are. What
has none follows from its meaning. Constants of one line share comment and row.
"""

import ast
import pkgutil
import re
from collections.abc import Iterator
from importlib import import_module
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from rxstream.timing import online

__all__ = ["Constant", "constants", "shown", "tables"]

_NAME = re.compile(r"_?[A-Z][A-Z0-9_]*")
_IN_BRACKETS = re.compile(r"\s*\(((?:study|trial)[^)]*)\)")
_SENTENCE = re.compile(r"(?<=[.:?!])\s+(?=[A-Z])")
# Words of a comment that name a source, and the source.
_SOURCES = {
    "the study": "study", "a trial": "trial", "by trial": "trial", "Fitted to": "fit",
    "et al.": "paper", "Von Neumann's": "paper",
}  # fmt: skip
# What is neither tried nor fitted follows from what it means.
_BY_MEANING = "meaning"


class Constant(NamedTuple):
    """One constant."""

    module: str
    """Its module in `rxstream.timing.online`."""
    name: str
    meaning: str
    source: str
    derived: str | None
    """The expression, where it is made of other constants."""

    @property
    def value(self) -> Any:
        """The shipped value."""
        return getattr(import_module(f"{online.__name__}.{self.module}"), self.name)


def constants() -> list[Constant]:
    """Return all constants of the online model, by module and in order."""
    names = sorted(module.name for module in pkgutil.iter_modules(online.__path__))
    return [constant for name in names for constant in _of_module(name)]


def tables(found: list[Constant], extra: dict[Constant, list[str]], heads: list[str]) -> str:
    """Return a table for each module.

    Parameters
    ----------
    found
        The constants.
    extra
        Further cells of a constant.
    heads
        Their heads.
    """
    text = []
    for module in dict.fromkeys(constant.module for constant in found):
        columns = ["constant", "value", "meaning", "source", *heads]
        rows = [columns, ["---"] * len(columns)]
        members = [constant for constant in found if constant.module == module]
        for (meaning, source), group in groupby(members, lambda one: (one.meaning, one.source)):
            alike = list(group)
            about = [", ".join(f"`{one.name}`" for one in alike)]
            about += [", ".join(shown(one.value) for one in alike), meaning, source]
            rows.append([*about, *(_told(alike, extra, k) for k in range(len(heads)))])
        lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
        text.append(f"**`{module}`**\n\n" + "\n".join(lines))
    return "\n\n".join(text)


def _told(alike: list[Constant], extra: dict[Constant, list[str]], k: int) -> str:
    """Return what is known of constants in one cell."""
    cells = {one.name: extra[one][k] for one in alike if one in extra}
    if len(set(cells.values())) < 2:
        return next(iter(cells.values()), "")
    return "<br>".join(f"`{name}`: {cell}" for name, cell in cells.items())


def shown(value: Any) -> str:
    """Return a value for the table."""
    if isinstance(value, tuple):
        return ", ".join(map(shown, value))
    return f"{value:.4g}" if isinstance(value, (int, float)) else f"`{value!r}`"


def _of_module(name: str) -> Iterator[Constant]:
    path = Path(online.__path__[0]) / f"{name}.py"
    text = path.read_text()
    lines, tree = text.splitlines(), ast.parse(text)
    elsewhere = _sources_elsewhere(lines)
    known: set[str] = set()
    for node in tree.body:
        if not isinstance(node, (ast.Assign, ast.AnnAssign)) or node.value is None:
            continue
        target = node.targets[0] if isinstance(node, ast.Assign) else node.target
        targets = target.elts if isinstance(target, ast.Tuple) else [target]
        names = [t.id for t in targets if isinstance(t, ast.Name) and _NAME.fullmatch(t.id)]
        meaning, source = _explained(_comment(lines, node.lineno - 1))
        used = {part.id for part in ast.walk(node.value) if isinstance(part, ast.Name)}
        derived = ast.unparse(node.value) if used & known else None
        for constant in names:
            where = source or elsewhere.get(constant) or elsewhere.get("") or _BY_MEANING
            if derived:
                meaning, where = f"`{derived}`", _BY_MEANING
            yield Constant(name, constant, meaning, where, derived)
        known.update(names)


def _comment(lines: list[str], at: int) -> str:
    """Return the comment above a line; lines of a block share the first one's."""
    while at and lines[at - 1].strip() and not lines[at - 1].startswith("#"):
        at -= 1
    first = at
    while first and lines[first - 1].startswith("#"):
        first -= 1
    return " ".join(line.lstrip("# ") for line in lines[first:at])


def _explained(comment: str) -> tuple[str, str]:
    """Return meaning and source."""
    sources = [match.strip() for match in _IN_BRACKETS.findall(comment)]
    comment = _IN_BRACKETS.sub("", comment).strip()
    return comment, "; ".join(sources or _named(comment))


def _named(text: str) -> list[str]:
    """Return the sources that a text names."""
    return list(dict.fromkeys(source for words, source in _SOURCES.items() if words in text))


def _sources_elsewhere(lines: list[str]) -> dict[str, str]:
    """Return the sources that comments give for other constants; of all the rest under ""."""
    found = {}
    for block in re.findall(r"(?:^#.*\n)+", "\n".join(lines), flags=re.MULTILINE):
        comment = " ".join(line.lstrip("# ") for line in block.splitlines())
        for sentence in _SENTENCE.split(comment):
            if sources := "; ".join(_named(sentence)):
                if sentence.startswith("All constants"):
                    found[""] = sources
                found |= dict.fromkeys(re.findall(r"`(_[A-Z0-9_]+)`", sentence), sources)
    return found
