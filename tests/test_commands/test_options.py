"""One meaning per option over all commands, and the table of them in the documents.

``PYTHONPATH=. python tests/test_commands/test_options.py`` prints the tables for docs/commands.md.
"""

import argparse
import inspect
import re
import sys
from importlib import import_module
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from command_options import ARGUMENTS, leaves
from conftest import ROOT

from mlrfnet_mm.commands import COMMANDS, options

DOCUMENT = ROOT / 'docs/commands.md'
# Several values, or one: said in the help of either.
NARGS_MAY_DIFFER = {'--method', '--val', 'npz', 'config'}


def split_help(action):
    """What an option means, and its default in words."""
    return re.fullmatch(r'(.*?)(?: \(default: (.*)\))?', action.help).groups()


def value(action):
    """What stands behind an option."""
    if action.nargs == 0:
        return ''
    text = action.metavar or '\\|'.join(map(str, action.choices))
    return {'?': f'[{text}]', '+': f'{text} …'}.get(action.nargs, text)


def tables():
    """Both tables as docs/commands.md has them."""
    heads = dict(
        arguments='| argument | meaning | commands |\n|---|---|---|',
        options='| option | meaning | commands | default |\n|---|---|---|---|',
    )
    rows = dict(arguments=[], options=[])
    for name, by_command in sorted(ARGUMENTS.items()):
        action = next(iter(by_command.values()))
        commands = 'all' if len(by_command) == len(COMMANDS) else ', '.join(by_command)
        meaning = split_help(action)[0].replace('|', '\\|')
        if not name.startswith('--'):
            rows['arguments'].append(f'| `{value(action)}` | {meaning} | {commands} |')
            continue
        defaults = {command: split_help(a)[1] or '' for command, a in by_command.items()}
        groups = {text: [c for c, t in defaults.items() if t == text] for text in defaults.values()}
        default = '; '.join(
            text if len(groups) == 1 else f'{text} ({", ".join(group)})'
            for text, group in groups.items()
        )
        shown = f'`{name} {value(action)}`'.replace(' `', '`')
        rows['options'].append(f'| {shown} | {meaning} | {commands} | {default} |')
    return ['\n'.join([heads[kind], *rows[kind]]) for kind in heads]


def test_the_document_has_every_option_with_its_meaning():
    found = re.findall(r'(?:^\|.*\n)+', DOCUMENT.read_text(), re.M)
    assert [table.strip() for table in found] == tables(), f'run {__file__}'


@pytest.mark.parametrize('name', ARGUMENTS)
def test_an_option_is_the_same_in_every_command(name):
    def traits(action):
        kind = (type(action), action.type, action.metavar, tuple(action.choices or ()))
        return (*kind, split_help(action)[0], name in NARGS_MAY_DIFFER or action.nargs)

    assert len({traits(action) for action in ARGUMENTS[name].values()}) == 1


@pytest.mark.parametrize('name', [name for name in ARGUMENTS if name.startswith('--')])
def test_a_default_is_said(name):
    unsaid = set()
    for action in ARGUMENTS[name].values():
        default = split_help(action)[1]
        if action.default in (None, False, []):
            unsaid.add(default is None)  # a default in words: what the command finds by itself
            continue
        values = action.default if isinstance(action.default, list) else [action.default]
        assert default == ' '.join(map(str, values))
    assert len(unsaid) < 2, 'one command says what happens without it, and another does not'


def test_what_several_commands_have_is_defined_once():
    """In commands/options.py; ``--debug`` and the launcher's rank by functions there."""
    for name, by_command in ARGUMENTS.items():
        if len(by_command) == 1:
            continue
        for command in by_command:
            source = inspect.getsource(
                import_module(f'mlrfnet_mm.commands.{command.replace("-", "_")}')
            )
            assert not re.search(rf"add_argument\(\s*'{name}'", source), f'{command} {name}'
    assert set(options.SHARED) <= {*ARGUMENTS, 'config', 'checkpoint', 'work_dir', 'npz'}
    assert all(len(ARGUMENTS[name]) > 1 for name in options.SHARED)


@pytest.mark.parametrize('command', COMMANDS)
def test_nothing_is_guessed(command):
    """An option is called by its whole name: ``--out`` of one command is not ``--out-dir``."""
    parser = import_module(f'mlrfnet_mm.commands.{command.replace("-", "_")}').make_parser(command)
    assert all(not leaf.allow_abbrev for leaf in leaves(parser))


@pytest.mark.parametrize(
    ('text', 'message'), [('0', 'at least 1, got 0'), ('x', "a whole number, got 'x'")]
)
def test_numbers_are_checked(text, message):
    with pytest.raises(argparse.ArgumentTypeError, match=f'must be {message}'):
        options.at_least(1)(text)
    assert options.at_least(1)('1') == 1 and options.at_least(1) is options.at_least(1)


if __name__ == '__main__':
    print('\n\n'.join(tables()))
