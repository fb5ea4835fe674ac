"""Sections of text, tables and pictures as one HTML page that opens offline, and as Markdown."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import jinja2

from mlrfnet_mm import NOTICE
from mlrfnet_mm.reports.output.embedding import data_uris
from mlrfnet_mm.reports.output.tables import Table
from mlrfnet_mm.reports.output.template import TEMPLATE


@dataclass(frozen=True)
class Absent:
    """A part that is not there, and the command that makes it."""

    what: str
    command: str


@dataclass(frozen=True)
class Picture:
    """A PNG and what it shows, for those who do not see it.

    Attributes:
        path: of the file; its name alone where ``data`` holds it.
        caption: what it shows.
        data: the file's bytes, where it lies on no disk.
    """

    path: Path
    caption: str
    data: bytes | None = None


@dataclass(frozen=True)
class Links:
    """Pages next to this one: their titles, and their files without suffix."""

    pages: Sequence[tuple[str, str]]


@dataclass
class Section:
    """A heading and what is below it, in order; folded, it opens by a click, and on paper."""

    title: str
    blocks: list[str | Table | Picture | Absent | Links] = field(default_factory=list)
    folded: bool = False


def html_page(title: str, sections: Sequence[Section]) -> str:
    """One page with the pictures inside; every text is escaped."""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    template = environment.from_string(TEMPLATE)
    blocks = [block for section in sections for block in section.blocks]
    shown = [block for block in blocks if isinstance(block, Picture)]
    held = {block.path: block.data for block in shown if block.data is not None}
    pictures = data_uris([block.path for block in shown], held)
    return template.render(title=title, notice=NOTICE, sections=sections, pictures=pictures)


def markdown_page(title: str, sections: Sequence[Section], folder: Path) -> str:
    """The same in Markdown; pictures are named relative to the folder that it will lie in."""
    lines = [f'# {title}', f'**{NOTICE}**']
    for section in sections:
        lines.append(f'## {section.title}')
        for block in section.blocks:
            if isinstance(block, Table):
                lines.append('#' + block.markdown().rstrip())
            elif isinstance(block, Picture):
                lines.append(f'![{block.caption}]({block.path.relative_to(folder).as_posix()})')
            elif isinstance(block, Links):
                lines.append('\n'.join(f'- [{title}]({file}.md)' for title, file in block.pages))
            elif isinstance(block, Absent):
                lines.append(f'{block.what}: not run. Make it with `{block.command}`')
            else:
                lines.append(block)
    return '\n\n'.join(lines) + '\n'
