"""Processes that work on encoded pictures: names and bytes go in, what is made of them comes out.

A worker is a new interpreter that imports the module of its task alone: neither the data set nor the user's
script or notebook reaches it. So nothing has to be picklable, a script needs no `if __name__ == "__main__"`,
and it is the same on every platform. It ends when its standard input does, also where its parent was killed.
"""

from __future__ import annotations

import signal
import struct
import subprocess
import sys
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib import import_module
from queue import SimpleQueue
from typing import IO

from snaptune.errors import DataError
from snaptune.images.load import quiet_decoder

Pictures = Iterable[tuple[str, bytes]]
"""Name and encoded bytes of each; read one at a time, since a few may be large."""
Task = Callable[[str, int, Pictures], Sequence[bytes | memoryview]]
"""(settings, number of pictures, pictures) -> the parts of the answer; a function of one of our modules."""

_START = "import sys; sys.path[:] = sys.argv[4:]; from snaptune.data.workers import serve; serve()"
_COUNT, _LENGTHS = struct.Struct("<Q"), struct.Struct("<QQ")
_PIPE = 2**20
"""Bytes under way between two processes before the writer has to wait, where the system lets one choose."""


class Workers:
    """`count` processes, each of which answers one question at a time, for any number of threads."""

    def __init__(self, count: int, task: Task, settings: str) -> None:
        command = [sys.executable, "-c", _START, task.__module__, task.__qualname__, settings, *sys.path]
        self.processes = [
            subprocess.Popen(  # noqa: S603  ourselves
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, pipesize=_PIPE
            )
            for _ in range(count)
        ]
        self._free: SimpleQueue[subprocess.Popen[bytes]] = SimpleQueue()
        for process in self.processes:
            self._free.put(process)
        self.close = weakref.finalize(self, _end, self.processes)

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def answer(self, count: int, pictures: Pictures) -> bytes:
        """What the task makes of `count` pictures; raises `DataError` where the process dies of them."""
        process, names = self._free.get(), list[str]()
        try:
            return _asked(process, count, pictures, names)
        except (OSError, EOFError) as error:
            where = f"between '{names[0]}' and '{names[-1]}'" if len(names) > 1 else f"at '{names[0]}'"
            raise DataError(
                f"A process that decodes pictures died (exit code {process.wait()}) {where}: for lack of "
                "memory, or of a damaged file. Make memory free (fewer 'workers', where a --config file sets "
                "them), or move the file away."
            ) from error
        finally:
            self._free.put(process)


def _asked(process: subprocess.Popen[bytes], count: int, pictures: Pictures, names: list[str]) -> bytes:
    """`names` are filled with those of the pictures that were sent."""
    assert process.stdin is not None  # noqa: S101  both are pipes
    assert process.stdout is not None  # noqa: S101
    for name, data in pictures:
        names.append(name)
        if len(names) == 1:
            process.stdin.write(_COUNT.pack(count))
        encoded = name.encode(errors="replace")
        process.stdin.write(_LENGTHS.pack(len(encoded), len(data)) + encoded)
        process.stdin.write(data)
    process.stdin.flush()
    [length] = _COUNT.unpack(_exactly(process.stdout, _COUNT.size))
    return _exactly(process.stdout, length)


def _exactly(file: IO[bytes], length: int) -> bytes:
    data = file.read(length)
    if len(data) < length:
        raise EOFError
    return data


def _end(started: list[subprocess.Popen[bytes]]) -> None:
    for process in started:
        process.kill()
        process.communicate()


def serve() -> None:
    """Answer on standard output what is asked on standard input, until that ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C asks the parent to stop after its present step
    questions, answers = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr
    module, name, settings = sys.argv[1:4]
    task: Task = getattr(import_module(module), name)
    with quiet_decoder():
        while header := questions.read(_COUNT.size):
            [count] = _COUNT.unpack(header)
            parts = [memoryview(part) for part in task(settings, count, _pictures(questions, count))]
            answers.write(_COUNT.pack(sum(part.nbytes for part in parts)))
            for part in parts:
                answers.write(part)
            answers.flush()


def _pictures(questions: IO[bytes], count: int) -> Iterator[tuple[str, bytes]]:
    for _ in range(count):
        name, data = (questions.read(length) for length in _LENGTHS.unpack(questions.read(_LENGTHS.size)))
        yield name.decode(), data
