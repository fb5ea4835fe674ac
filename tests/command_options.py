"""What the parsers of all commands take."""

import argparse
from importlib import import_module

from mlrfnet_mm.commands import COMMANDS


def leaves(parser):
    """A parser itself, or those of its subcommands with it."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from action.choices.values()


def arguments():
    """Name → command → argparse's action, of all commands."""
    found = {}
    for command in COMMANDS:
        module = import_module(f'mlrfnet_mm.commands.{command.replace("-", "_")}')
        for parser in leaves(module.make_parser(f'mlrfnet {command}')):
            for action in parser._actions:
                if isinstance(action, argparse._HelpAction | argparse._SubParsersAction):
                    continue
                name = action.option_strings[0] if action.option_strings else action.dest
                found.setdefault(name, {}).setdefault(command, action)
    return found


ARGUMENTS = arguments()
