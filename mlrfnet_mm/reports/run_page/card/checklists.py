"""Checklists for reports on models, each item answered from evidence.

A checklist is a data file: the items of a published list in short words of our own, and for each
the keys of the evidence, or of the user's answers, that answer it.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from mlrfnet_mm.reports.output.tables import Record, Table
from mlrfnet_mm.reports.run_page.card.answers import missing, read_data

NAMES = ('tripod_ai', 'claim', 'fda_draft')
ANSWERED, IN_PART, NOT_RUN, OPEN = 'answered', 'in part', 'not run', 'to be written by you'
STATES = (ANSWERED, IN_PART, NOT_RUN, OPEN)


@dataclass(frozen=True)
class Evidence:
    """What a run says on one point.

    Attributes:
        text: what it says, a sentence or two; empty if nothing.
        command: what would make it, or the rest of it; empty if nothing is left to make.
    """

    text: str = ''
    command: str = ''

    @property
    def state(self) -> str:
        """One of ``STATES``."""
        if self.text:
            return IN_PART if self.command else ANSWERED
        return NOT_RUN if self.command else OPEN

    def shown(self, key: str) -> str:
        """The text, then what is not run; or that it is to be written."""
        not_run = f'{NOT_RUN}: `{self.command}`' if self.command else ''
        return ' '.join(filter(None, (self.text, not_run))) or missing(key)


@dataclass(frozen=True)
class Answer:
    """An item of a checklist and what the evidence says on it."""

    item: str
    asks: str
    keys: tuple[str, ...]
    state: str
    text: str


@dataclass(frozen=True)
class Checklist:
    """A checklist with its answers.

    Attributes:
        name: of the list.
        edition: which of its editions.
        source: citation and address.
        answers: one per item, in order.
    """

    name: str
    edition: str
    source: str
    answers: tuple[Answer, ...]

    def counts(self) -> dict[str, int]:
        """How many items are in each state."""
        found = Counter(answer.state for answer in self.answers)
        return {state: found[state] for state in STATES}

    def table(self) -> Table:
        """One row per item."""
        records: list[Record] = [
            dict(item=a.item, asks=a.asks, state=a.state, answer=' '.join(a.text.split()))
            for a in self.answers
        ]
        columns = dict(item='item', asks='asks', state='state', answer='answer')
        title = f'{self.name} ({self.edition})'
        return Table('checklist', title, columns, records, [self.source])


def state_of(states: list[str]) -> str:
    """State of an item by those of its evidence."""
    kinds = set(states)
    if len(kinds) == 1:
        return states[0]
    return IN_PART if kinds & {ANSWERED, IN_PART} else NOT_RUN


def answer_checklist(name: str, evidence: Mapping[str, Evidence]) -> Checklist:
    """Answer one of ``NAMES``.

    Args:
        name: of the data file.
        evidence: key → what the run, or the user, says.
    """
    data = read_data(name)
    answers = []
    for item in data['items']:
        keys = tuple(item['evidence'])
        found = [evidence[key] for key in keys]
        parts = [e.shown(key).rstrip('.') for key, e in zip(keys, found, strict=True)]
        state = state_of([e.state for e in found])
        answers.append(Answer(item['item'], item['asks'], keys, state, f'{"; ".join(parts)}.'))
    return Checklist(data['name'], data['edition'], data['source'], tuple(answers))
