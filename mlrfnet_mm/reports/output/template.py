"""The HTML page: its style, its order and its few lines of script; it asks for no other file."""

TEMPLATE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{{ title }}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
:root { color-scheme: light; --line: #d5d9de; --quiet: #59636e; --accent: #0060a0; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem;
  color: #1c2126; background: #fff; overflow-wrap: break-word; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 .6rem; }
h2 { font-size: 1.3rem; margin: 2.4rem 0 .6rem; padding-top: .6rem;
  border-top: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 1.2rem 0 .4rem; }
a { color: var(--accent); }
nav ul { columns: 16rem; margin: 1rem 0; padding: 0; list-style: none; }
nav a { display: block; padding: .15rem 0; }
.scroll { overflow-x: auto; margin: .6rem 0; }
table { border-collapse: collapse; }
th, td { padding: .25rem .7rem; border-bottom: 1px solid var(--line); text-align: right;
  white-space: nowrap; font-variant-numeric: tabular-nums; }
th { border-bottom: 2px solid #8b949e; vertical-align: bottom; }
th:first-child, td:first-child { text-align: left; position: sticky; left: 0; background: #fff;
  padding-left: 0; }
th.text, td.text { text-align: left; }
td.text { white-space: normal; overflow-wrap: break-word; max-width: 30rem; }
tbody tr:hover > * { background: #f3f6f9; }
th[tabindex] { cursor: pointer; }
th[tabindex]::after { content: ' ↕'; color: #8b949e; }
th[aria-sort]::after { color: inherit; }
th[aria-sort=ascending]::after { content: ' ↑'; }
th[aria-sort=descending]::after { content: ' ↓'; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: -2px; }
figure { margin: 1rem 0; }
img { max-width: 100%; height: auto; display: block; }
figure summary { list-style: none; cursor: zoom-in; }
figure summary::-webkit-details-marker { display: none; }
.fold > summary { cursor: pointer; margin-top: 1rem; padding-top: .6rem;
  border-top: 1px solid var(--line); }
.fold > summary h2 { display: inline; border: 0; margin: 0; padding: 0; }
code { font-size: .93em; background: #f3f6f9; padding: .1em .3em; overflow-wrap: anywhere; }
.notice { border-left: 4px solid #d55e00; padding: .3rem .8rem; font-weight: 600; }
.absent { border-left: 4px solid #8b949e; padding: .3rem .8rem; color: var(--quiet); }
.note { color: var(--quiet); font-size: .9em; margin: .4rem 0; max-width: 52rem; }
@media screen {
  figure details[open] summary { cursor: zoom-out; position: fixed; inset: 0; z-index: 1;
    overflow: auto; background: #fff; padding: 1rem; }
  figure details[open] img { max-width: none; min-width: 100%; }
}
@media (max-width: 40rem) {
  body { margin: 1rem auto; }
  th, td { padding: .25rem .45rem; }
  td.text { max-width: 11rem; }
}
@media print {
  @page { margin: 14mm; }
  nav, th[tabindex]::after { display: none; }
  .fold > summary { list-style: none; }
  .fold::details-content { content-visibility: visible; block-size: auto; }
  body { margin: 0; padding: 0; max-width: none; font-size: 9.5pt; }
  h2 { margin-top: 1.4rem; }
  h2, h3, thead { break-after: avoid; }
  .scroll { overflow: visible; }
  table { font-size: 8pt; }
  .many { font-size: 6pt; width: 100%; }
  th, td { padding: .12rem .25rem; }
  .many th, .many td { white-space: normal; padding: .1rem; }
  th, .note, .absent { color: #000; }
  tr, figure { break-inside: avoid; }
  img { max-height: 235mm; }
}
</style></head><body>
<h1>{{ title }}</h1>
<p class="notice">{{ notice }}</p>
{% if sections | length > 2 %}<nav aria-label="Contents"><ul>
{%- for section in sections %}
<li><a href="#section-{{ loop.index }}">{{ section.title }}</a></li>
{%- endfor %}
</ul></nav>{% endif %}
{% for section in sections %}{% if section.folded %}<details class="fold"
id="section-{{ loop.index }}"><summary><h2>{{ section.title }}</h2></summary>
{% else %}<h2 id="section-{{ loop.index }}">{{ section.title }}</h2>
{% endif %}
{% for block in section.blocks %}{% if block.columns is defined %}<h3>{{ block.title }}</h3>
{% set texts = block.text_columns() %}<div class="scroll">
<table{% if block.columns | length > 8 %} class="many"{% endif %}><thead><tr>
{%- for header in block.columns %}
<th scope="col"{% if loop.index0 in texts %} class="text"{% endif %}>{{ header }}</th>
{%- endfor %}</tr></thead><tbody>{% for row in block.rows() %}
<tr>{% for cell in row %}<td{% if loop.index0 in texts %} class="text"{% endif %}>{{ cell }}</td>
{%- endfor %}</tr>{% endfor %}
</tbody></table></div>
{% for note in block.notes %}<p class="note">{{ note }}</p>
{% endfor %}{% elif block.caption is defined %}<figure><details><summary>
<img src="{{ pictures[block.path] }}" alt="{{ block.caption }}"></summary></details>
<figcaption class="note">{{ block.caption }}</figcaption></figure>
{% elif block.pages is defined %}<ul>{% for page, file in block.pages %}
<li><a href="{{ file }}.html">{{ page }}</a></li>{% endfor %}
</ul>
{% elif block.command is defined %}<p class="absent">{{ block.what }}: not run. Make it with
<code>{{ block.command }}</code></p>
{% else %}<p>{{ block }}</p>
{% endif %}{% endfor %}{% if section.folded %}</details>
{% endif %}{% endfor %}
<script>
// A click or Enter on a heading sorts its table: by the number that a cell begins with, else by its
// text; cells without a number stand last.
const number = text =>
  parseFloat(text.replace(/^[<≤] */, '').replace(/^−/, '-').replace(/,/g, ''));
function sort(head) {
  const up = head.ariaSort !== 'ascending', at = head.cellIndex;
  const body = head.closest('table').tBodies[0], key = row => row.cells[at].textContent.trim();
  body.append(...[...body.rows].sort((a, b) => {
    const [x, y] = [number(key(a)), number(key(b))];
    if (isNaN(x) !== isNaN(y)) return isNaN(x) ? 1 : -1;
    return (up ? 1 : -1) * (isNaN(x) ? key(a).localeCompare(key(b)) : x - y);
  }));
  for (const other of head.parentNode.cells) other.removeAttribute('aria-sort');
  head.ariaSort = up ? 'ascending' : 'descending';
}
for (const table of document.querySelectorAll('table')) {
  if (table.tBodies[0].rows.length < 2) continue;
  for (const head of table.querySelectorAll('th')) {
    head.tabIndex = 0;
    head.addEventListener('click', () => sort(head));
    head.addEventListener('keydown', event => {
      if (event.key !== 'Enter' && event.key !== ' ') return;
      event.preventDefault();
      sort(head);
    });
  }
}
// A picture is enlarged by a click or Enter, as every <details>; Escape closes it too.
document.addEventListener('keydown', event => {
  if (event.key === 'Escape')
    for (const open of document.querySelectorAll('figure details[open]')) open.open = false;
});
// A folded section opens when it is gone to, and all of them for paper.
const folds = document.querySelectorAll('.fold');
function reveal() {
  for (const fold of folds) if ('#' + fold.id === location.hash) fold.open = true;
}
addEventListener('hashchange', reveal);
document.querySelector('nav')?.addEventListener('click', () => setTimeout(reveal));
reveal();
let closed = [];
addEventListener('beforeprint', () => {
  closed = [...folds].filter(fold => !fold.open);
  for (const fold of closed) fold.open = true;
});
addEventListener('afterprint', () => { for (const fold of closed) fold.open = false; });
</script></body></html>
"""
