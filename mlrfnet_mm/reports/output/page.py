"""Sections of text, tables and pictures as one HTML page that opens offline, and as Markdown."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import jinja2

from mlrfnet_mm import NOTICE
from mlrfnet_mm.reports.output.tables import Table


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
    """A heading and what is below it, in order."""

    title: str
    blocks: list[str | Table | Picture | Absent] = field(default_factory=list)


TEMPLATE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{{ title }}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body { font: 15px/1.45 system-ui, sans-serif; max-width: 72em; margin: 2em auto; padding: 0 1em; }
nav { columns: 16em; margin: 1em 0; }
nav a { display: block; }
table { border-collapse: collapse; display: block; overflow-x: auto; margin: .6em 0; }
th, td { padding: .2em .7em; border-bottom: 1px solid #ccc; text-align: right; }
th:first-child, td:first-child { text-align: left; }
th { cursor: pointer; }
th[aria-sort=ascending]::after { content: ' ▲'; }
th[aria-sort=descending]::after { content: ' ▼'; }
td { font-variant-numeric: tabular-nums; }
figure { margin: 1em 0; }
img { max-width: 100%; }
summary { list-style: none; cursor: zoom-in; }
summary::-webkit-details-marker { display: none; }
details[open] summary { cursor: zoom-out; overflow-x: auto; }
details[open] img { max-width: none; }
.notice { border-left: 4px solid #d55e00; padding: .3em .8em; font-weight: bold; }
.absent { border-left: 4px solid #999; padding: .3em .8em; color: #555; overflow-wrap: anywhere; }
.note { color: #555; font-size: .9em; }
@media print {
  nav { display: none; }
  body { margin: 0; max-width: none; font-size: 10pt; }
  table { display: table; font-size: 8pt; }
  tr, figure { break-inside: avoid; }
  h2, h3 { break-after: avoid; }
}
</style></head><body>
<h1>{{ title }}</h1>
<p class="notice">{{ notice }}</p>
{% if sections | length > 2 %}<nav aria-label="Contents">{% for section in sections %}
<a href="#section-{{ loop.index }}">{{ section.title }}</a>{% endfor %}</nav>{% endif %}
{% for section in sections %}<h2 id="section-{{ loop.index }}">{{ section.title }}</h2>
{% for block in section.blocks %}{% if block.columns is defined %}<h3>{{ block.title }}</h3>
<table><thead><tr>{% for header in block.columns %}<th scope="col">{{ header }}</th>{% endfor %}
</tr></thead><tbody>{% for row in block.rows() %}<tr>{% for cell in row %}<td>{{ cell }}</td>
{% endfor %}</tr>
{% endfor %}</tbody></table>
{% for note in block.notes %}<p class="note">{{ note }}</p>
{% endfor %}{% elif block.caption is defined %}<figure><details><summary>
<img src="{{ block.data_uri() }}" alt="{{ block.caption }}"></summary></details>
<figcaption class="note">{{ block.caption }}</figcaption></figure>
{% elif block.command is defined %}<p class="absent">{{ block.what }}: not run. Make it with
<code>{{ block.command }}</code></p>
{% else %}<p>{{ block }}</p>
{% endif %}{% endfor %}{% endfor %}
<script>
// A click on a heading sorts its table: by the number that a cell begins with, else by its text.
for (const head of document.querySelectorAll('th')) head.addEventListener('click', () => {
  const up = head.ariaSort !== 'ascending', at = head.cellIndex, table = head.closest('table');
  const key = row => row.cells[at].textContent.trim(), body = table.tBodies[0];
  const compare = (a, b) => {
    const [x, y] = [parseFloat(key(a)), parseFloat(key(b))];
    if (isNaN(x) !== isNaN(y)) return isNaN(x) ? 1 : -1;
    return (up ? 1 : -1) * (isNaN(x) ? key(a).localeCompare(key(b)) : x - y);
  };
  body.append(...[...body.rows].sort(compare));
  for (const other of head.parentNode.cells) other.removeAttribute('aria-sort');
  head.ariaSort = up ? 'ascending' : 'descending';
});
</script></body></html>
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
