"""Processes that decode pictures: encoded bytes go in, prepared pixels come out, and nothing else.

A worker is a new interpreter that imports this module alone: neither the data set nor the user's script or
notebook reaches it. So nothing has to be picklable, a script needs no `if __name__ == "__main__"`, and it
is the same on every platform. It ends when its standard input does, also where its parent was killed.
"""

from __future__ import annotations

import json
import signal
import struct
import subprocess
import sys
import weakref
from queue import SimpleQueue
from typing import IO

import numpy as np

from snaptune.errors import DataError, ImageError
from snaptune.images.load import load_image
from snaptune.images.preprocess import Pixels, Preprocess

_START = "import sys; sys.path[:] = sys.argv[3:]; from snaptune.data.workers import serve; serve()"
_QUESTION = struct.Struct("<QQ")
"""Lengths of the picture's name and of its bytes, which follow."""
_ANSWER = struct.Struct("<?Q")
"""Whether it could be read, and the length of what follows: pixels, or an error's text and reason as JSON."""


class Workers:
    """`count` processes, each of which decodes one picture at a time, for any number of threads."""

    def __init__(self, count: int, preprocess: Preprocess, max_pixels: int) -> None:
        self._size = preprocess.size
        command = [sys.executable, "-c", _START, preprocess.to_json(), str(max_pixels), *sys.path]
        self.processes = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603  ourselves
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

    def pixels(self, data: bytes, name: str) -> Pixels:
        """`Preprocess.pixels` of an encoded picture; raises `ImageError` as `load_image` does."""
        process = self._free.get()
        try:
            known, answer = _asked(process, name.encode(errors="replace"), data)
        except (OSError, EOFError) as error:
            raise DataError(
                f"A process that decodes pictures died (exit code {process.wait()}) at '{name}', perhaps for "
                "lack of memory. Set fewer 'workers' in a --config file."
            ) from error
        finally:
            self._free.put(process)
        if not known:
            text, reason = json.loads(answer)
            raise ImageError(text, reason)
        return np.frombuffer(answer, np.uint8).reshape(self._size, self._size, 3)


def _asked(process: subprocess.Popen[bytes], name: bytes, data: bytes) -> tuple[bool, bytes]:
    assert process.stdin is not None  # noqa: S101  both are pipes
    assert process.stdout is not None  # noqa: S101
    process.stdin.write(_QUESTION.pack(len(name), len(data)) + name + data)
    process.stdin.flush()
    known, length = _ANSWER.unpack(_exactly(process.stdout, _ANSWER.size))
    return known, _exactly(process.stdout, length)


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
    preprocess, max_pixels = Preprocess.from_json(sys.argv[1], "preprocess"), int(sys.argv[2])
    while header := questions.read(_QUESTION.size):
        name, data = (questions.read(length) for length in _QUESTION.unpack(header))
        try:
            image = load_image(data, name.decode(), max_pixels=max_pixels)
            _answer(answers, True, preprocess.pixels(image).tobytes())
        except ImageError as error:
            _answer(answers, False, json.dumps([str(error), error.reason]).encode())


def _answer(answers: IO[bytes], known: bool, data: bytes) -> None:
    answers.write(_ANSWER.pack(known, len(data)) + data)
    answers.flush()
