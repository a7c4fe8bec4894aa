"""Words and progress on stderr, results on stdout."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from wsgn.support.terminal import print_text, print_words, printable


class Console:
    """What a run says to people. Nothing here fails when stderr is closed."""

    def __init__(self, *, quiet: bool = False, verbose: bool = False, progress: bool = False):
        self._quiet = quiet
        self._verbose = verbose
        self._wants_progress = progress
        self._bar: Any = None

    def detail(self, text: str) -> None:
        """Something for -v."""
        if self._verbose:
            self._write(text)

    def say(self, text: str) -> None:
        """Something that -q leaves out."""
        if not self._quiet:
            self._write(text)

    def warn(self, text: str) -> None:
        """Something odd; -q leaves it out."""
        self.say(f"warning: {text}")

    def error(self, text: str) -> None:
        """Something that failed."""
        self._write(f"error: {text}")

    def start_progress(self, label: str) -> None:
        """Show a bar for a source from now on, if there is a terminal."""
        if not self._wants_progress:
            return
        from wsgn.support.progress import progress_bar, shows_progress

        if not shows_progress():
            return
        self._bar = progress_bar(
            wanted=True,
            desc=printable(label),
            total=None,
            leave=False,
            dynamic_ncols=True,
            bar_format="{desc} {percentage:3.0f}%|{bar}| {n:.0f}/{total_fmt} s "
            "[{elapsed}<{remaining}]",
        )

    def progress(
        self, done_seconds: float, total_seconds: float | None, *, label: str | None = None
    ) -> None:
        """Move the bar to so many seconds of the chosen part; None where its end is unknown."""
        if self._bar is None:
            return
        if label is not None:
            self._bar.set_description_str(printable(label), refresh=False)
        if total_seconds is None:
            self._bar.bar_format = "{desc} {n:.0f} s [{elapsed}]"
            self._bar.n = done_seconds
        else:
            self._bar.total = round(total_seconds)
            self._bar.n = min(done_seconds, total_seconds)
        self._bar.update(0)

    def start_status(self) -> None:
        """Show a line of words from now on, if there is a terminal."""
        if not self._wants_progress:
            return
        from wsgn.support.progress import progress_bar, shows_progress

        if shows_progress():
            self._bar = progress_bar(
                wanted=True, total=None, leave=False, dynamic_ncols=True, bar_format="{desc}"
            )

    def status(self, words: str) -> None:
        """The words of that line."""
        if self._bar is not None and self._bar.desc != words:
            self._bar.set_description_str(printable(words))

    @contextmanager
    def without_bar(self) -> Iterator[None]:
        """For what is written to the same terminal."""
        if self._bar is not None:
            self._bar.clear()
        try:
            yield
        finally:
            if self._bar is not None:
                self._bar.refresh()

    def end_progress(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _write(self, text: str) -> None:
        try:
            with self.without_bar():
                print_words(f"wsgn-run: {printable(text)}\n")
        except (OSError, ValueError):
            return


def print_result(text: str) -> None:
    """Write results to stdout at once.

    Raises BrokenPipeError when nobody reads them any more, else `OutputError` on a failure.
    """
    try:
        print_text(text)
    except BrokenPipeError:
        raise
    except OSError as error:
        from ..writers import result_errors

        with result_errors("standard output"):
            raise error
