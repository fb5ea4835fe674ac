"""Sections of text, tables and pictures as one HTML page that opens offline, and as Markdown."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import jinja2

from mlrfnet_mm import NOTICE

from .tables import Table


@dataclass(frozen=True)
class Absent:
    """A part that is not there, and the command that makes it."""

    what: str
    command: str


@dataclass(frozen=True)
class Picture:
    """A PNG and what it shows, for those who do not see it."""

    path: Path
    caption: str

    def data_uri(self) -> str:
        """The picture itself as an address, so that the page needs no other file."""
        data = base64.b64encode(self.path.read_bytes()).decode()
        return f'data:image/png;base64,{data}'


@dataclass
class Section:
    """A heading and what stands below it, in order."""

    title: str
    blocks: list[str | Table | Picture | Absent] = field(default_factory=list)


TEMPLATE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{{ title }}</title>
<style>
body { font: 15px/1.45 system-ui, sans-serif; max-width: 72em; margin: 2em auto; padding: 0 1em; }
table { border-collapse: collapse; display: block; overflow-x: auto; margin: .6em 0; }
th, td { padding: .2em .7em; border-bottom: 1px solid #ccc; text-align: right; }
th:first-child, td:first-child { text-align: left; }
td { font-variant-numeric: tabular-nums; }
img { max-width: 100%; }
.notice { border-left: 4px solid #d55e00; padding: .3em .8em; font-weight: bold; }
.absent { border-left: 4px solid #999; padding: .3em .8em; color: #555; }
.note { color: #555; font-size: .9em; }
</style></head><body>
<h1>{{ title }}</h1>
<p class="notice">{{ notice }}</p>
{% for section in sections %}<h2>{{ section.title }}</h2>
{% for block in section.blocks %}{% if block.columns is defined %}<h3>{{ block.title }}</h3>
<table><thead><tr>{% for header in block.columns %}<th>{{ header }}</th>{% endfor %}</tr></thead>
<tbody>{% for row in block.rows() %}<tr>{% for cell in row %}<td>{{ cell }}</td>{% endfor %}</tr>
{% endfor %}</tbody></table>
{% for note in block.notes %}<p class="note">{{ note }}</p>
{% endfor %}{% elif block.caption is defined %}<figure>
<img src="{{ block.data_uri() }}" alt="{{ block.caption }}">
<figcaption class="note">{{ block.caption }}</figcaption></figure>
{% elif block.command is defined %}<p class="absent">{{ block.what }}: not run. Make it with
<code>{{ block.command }}</code></p>
{% else %}<p>{{ block }}</p>
{% endif %}{% endfor %}{% endfor %}</body></html>
"""


def html_page(title: str, sections: Sequence[Section]) -> str:
    """One page with the pictures inside; every text is escaped."""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    template = environment.from_string(TEMPLATE)
    return template.render(title=title, notice=NOTICE, sections=sections)


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
            elif isinstance(block, Absent):
                lines.append(f'{block.what}: not run. Make it with `{block.command}`')
            else:
                lines.append(block)
    return '\n\n'.join(lines) + '\n'
