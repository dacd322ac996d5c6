"""A real terminal for a process; a file keeps every byte that the process shows."""

import os
import re
import subprocess
import threading
import tty

from . import wire

#: How far a search has come; the program shows it after a second and erases it.
PROGRESS = r"\r\[[#.]{30}\] +\d+ %  \d+ of \d+ entries\x1b\[K"
ERASED = r"\r\x1b\[K"
#: The control sequences that are the program's own: colours and progress, and nothing else.
OWN = re.compile(rf"\x1b\[[0-9;]*m|{PROGRESS}|{ERASED}")
#: Everything but a line feed that a terminal might act on, and marks that turn the direction of writing.
RAW = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def environment():
    """The environment of a terminal at which programs use colors."""
    return {**{name: value for name, value in os.environ.items() if name != "NO_COLOR"}, "TERM": "xterm"}


class Terminal:
    """`end` is the process's end of the terminal, to be closed by `with` once the process has it; `path` has the output."""

    def __init__(self, path):
        self.path = path
        self._ours, self.end = os.openpty()
        tty.setraw(self.end)
        self._copying = threading.Thread(target=self._copy, daemon=True)
        self._copying.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.end)

    def _copy(self):
        with open(self.path, "ab", buffering=0) as file:
            while True:
                try:
                    file.write(os.read(self._ours, 1 << 16))
                except OSError:
                    # EIO: the last process has closed its end.
                    return os.close(self._ours)

    def lines(self):
        """The output after its writers have ended, without colors and progress; only a line feed ends a line."""
        self._copying.join(10)
        assert not self._copying.is_alive(), "somebody still has the terminal"
        with open(self.path, encoding="utf-8", newline="\n") as file:
            for line in file:
                yield OWN.sub("", line)


def start(path, *command):
    """Starts a command at a terminal and returns its process and the terminal."""
    with Terminal(path) as terminal:
        process = subprocess.Popen([*map(str, command)], stdin=subprocess.DEVNULL, stdout=terminal.end, stderr=terminal.end, env=environment())
    return process, terminal


def run(path, *command):
    """Runs a command to its end at a terminal and returns the lines of its output."""
    process, terminal = start(path, *command)
    process.wait(wire.PATIENCE)
    return list(terminal.lines())
