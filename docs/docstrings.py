"""The docstrings' reStructuredText as Markdown for the API pages; an unknown reference is an error.

The code has Sphinx roles, simple tables, ``::`` blocks and doctests, which help() shows well;
mkdocstrings reads Markdown. What a package exports is documented where it is defined, once.
"""

import re
from typing import Any

import griffe
from mkdocs.plugins import get_plugin_logger

ROLE = re.compile(r':(class|func|meth|attr|mod|math):`(~?)([^`]+)`')
TABLE = re.compile(r'^=+(?: +=+)+\n.*\n=+(?: +=+)+$', re.S | re.M)
EXAMPLE = re.compile(r'^>>> .*(?:\n(?!\n).+)*', re.M)
MATH = re.compile(r'^\.\. math::[ \n]*((?:.+\n?)(?:^[ ]*\S.*\n?)*)', re.M)
log = get_plugin_logger('docstrings')


class Markdown(griffe.Extension):
    """Rewrites every docstring of the package when it is loaded."""

    def on_package(self, *, pkg: griffe.Module, **kwargs: Any) -> None:
        """Collect what there is to refer to, then rewrite."""
        objects = list(walk(pkg))
        paths = {found.path for found in objects}
        for found in objects:
            if isinstance(found, griffe.Module):
                found.exports = None
            if found.docstring:
                found.docstring.value = markdown(found.docstring.value, found, paths)


def walk(found: griffe.Object) -> Any:
    """Yield an object and all that it defines."""
    yield found
    for member in found.members.values():
        if not member.is_alias:
            yield from walk(member)


def markdown(text: str, found: griffe.Object, paths: set[str]) -> str:
    """Return a docstring as Markdown."""

    def linked(role: re.Match[str]) -> str:
        kind, _, name = role.groups()
        if kind == 'math':
            return f'`{name}`'
        path = resolve(name, found, paths)
        shown = f'`{name.split(".")[-1]}`'
        if path is None and name.split('.')[0] not in found.module.imports:
            log.warning('%s: nothing is called %s', found.path, name)
        return f'[{shown}][{path}]' if path else shown

    for pattern, kind in ((TABLE, 'text'), (EXAMPLE, 'pycon')):
        text = pattern.sub(lambda block, kind=kind: f'```{kind}\n{block[0]}\n```', text)
    text = MATH.sub(lambda block: f'```tex\n{block[1].strip()}\n```\n', text)
    text = re.sub(r'^::\n', '', text, flags=re.M)
    text = re.sub(r' ?::\n\n(?=    )', ':\n\n', text)
    return ROLE.sub(linked, text)


def resolve(name: str, found: griffe.Object, paths: set[str]) -> str | None:
    """Return the path of what a docstring calls ``name``: of its surroundings, or the only one.

    ``mlrfnet_mm.ECANeck``, the name in the registry, is the class of that name.
    """
    scope = found.path
    while scope:
        if f'{scope}.{name}' in paths:
            return f'{scope}.{name}'
        scope = scope.rpartition('.')[0]
    if name in paths:
        return name
    tail = re.sub(r'^mlrfnet_mm\.(?:.*\.)?(?=\w+$)', '', name).lstrip('.')
    candidates = sorted(path for path in paths if path.endswith(f'.{tail}'))
    classes = [path for path in candidates if path.rpartition('.')[2] == tail.rpartition('.')[2]]
    return classes[0] if len(classes) == 1 else None
