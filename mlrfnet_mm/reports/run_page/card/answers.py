"""What no run knows and the user writes: one YAML file next to the card, never changed by it.

The file is written once, with every question and no answer. A later card reads it and leaves it as
it is, so that nothing that was written in it can be lost.
"""

from pathlib import Path
from typing import Any

import yaml

from mlrfnet_mm.evaluation.files.whole_files import write_text

ANSWERS = 'card_answers.yaml'
DATA = Path(__file__).parent / 'data'


def read_data(name: str) -> Any:
    """One of the YAML files of this folder."""
    return yaml.safe_load((DATA / f'{name}.yaml').read_text(encoding='utf-8'))


def questions() -> dict[str, dict[str, str]]:
    """Section of the card → key → question."""
    found: dict[str, dict[str, str]] = read_data('questions')
    return found


def blank(name: str) -> str:
    """The file with every question and no answer."""
    lines = [
        f'# Answers for the model card of {name}. mlrfnet card reads this file and never changes',
        '# it. What is empty is shown as "to be written by you". A longer answer:',
        '#',
        '# intended_use: |',
        '#   The first line, indented,',
        '#   and the next.',
    ]
    for section, keys in questions().items():
        lines += ['', f'# {section}']
        for key, question in keys.items():
            lines += ['', f'# {question}', f'{key}:']
    return '\n'.join(lines) + '\n'


def read_answers(path: Path) -> dict[str, str]:
    """Read the answers; an empty text for what is not answered.

    Raises:
        ValueError: not YAML of this form, a key that is no question, one that is there twice.
    """
    keys = [key for section in questions().values() for key in section]
    answers = dict.fromkeys(keys, '')
    if not path.is_file():
        return answers
    try:
        root = yaml.compose(path.read_text(encoding='utf-8'), Loader=yaml.SafeLoader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f'{path} is not a YAML file: {error}') from error
    if root is None:
        return answers
    if not isinstance(root, yaml.MappingNode):
        raise ValueError(f'{path} must hold lines of "key: answer", found a {root.id}')
    seen: dict[str, int] = {}
    for key_node, node in root.value:
        key, line = str(key_node.value), key_node.start_mark.line + 1
        if key not in answers:
            raise ValueError(
                f'{path}, line {line}: no question {key!r}; there are {", ".join(keys)}'
            )
        if key in seen:
            raise ValueError(f'{path}, line {line}: {key} is on line {seen[key]} already')
        if not isinstance(node, yaml.ScalarNode):
            raise ValueError(
                f'{path}, line {line}: {key} must be a text, found a {node.id}: put it behind '
                f'"{key}: |", indented'
            )
        seen[key] = line
        empty = node.tag == 'tag:yaml.org,2002:null'
        answers[key] = '' if empty else str(node.value).strip()
    return answers


def write_blank(folder: Path, name: str) -> Path | None:
    """Write the file of questions where there is none; its path if it was written."""
    path = folder / ANSWERS
    if path.exists():
        return None
    write_text(path, blank(name))
    return path


def missing(key: str) -> str:
    """What a card shows for a question without an answer."""
    return f'to be written by you (`{key}` in {ANSWERS})'
