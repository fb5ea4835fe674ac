"""The progress bar of all commands: on the error stream, gone when the work is done."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


class Bar:
    """A bar that is on the screen.

    Args:
        progress: that shows it.
        title: what is done.
        total: of the units.
    """

    def __init__(self, progress: Progress, title: str, total: int) -> None:
        self.progress = progress
        self.task = progress.add_task(escape(title), total=total, rate='')

    def advance(self, done: float = 1) -> None:
        """Move on by some units."""
        speed = self.progress.tasks[0].speed
        rate = f'{speed:,.1f}/s' if speed and speed >= 0.1 else ''
        self.progress.update(self.task, advance=done, rate=rate)

    def show(self, title: str, completed: float | None = None) -> None:
        """Say what is done now, and how many units are completed."""
        self.progress.update(self.task, description=escape(title), completed=completed)


@contextmanager
def progress_bar(
    title: str, total: int, unit: str, console: Console | None = None
) -> Iterator[Bar]:
    """Show what is done and of how many, the rate, and the time that has passed and is left.

    Args:
        title: what is done.
        total: of the units.
        unit: their name, in the plural.
        console: that other lines are printed on meanwhile; by default the error stream.
    """
    columns = (
        TextColumn('{task.description}'),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(f'{unit} {{task.fields[rate]}}'),
        TimeElapsedColumn(),
        TextColumn('+'),
        TimeRemainingColumn(),
    )
    screen = console or Console(stderr=True)
    with Progress(*columns, console=screen, transient=True) as progress:
        yield Bar(progress, title, total)
