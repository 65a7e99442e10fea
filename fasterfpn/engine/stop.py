"""Ctrl-C and SIGTERM, which a training answers between two steps, where its state is whole."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType


class StopSignals:
    """While this context is open, the first of either signal is only noted; a second one interrupts at once.

    It interrupts by `KeyboardInterrupt` (Ctrl-C) or `SystemExit` with status 143 (SIGTERM). A signal that was ignored
    before, as Ctrl-C is in the background processes of a script, stays ignored. Outside the main thread, which alone
    receives signals, the context does nothing.
    """

    HANDLED = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        self.noted: int | None = None

    def __enter__(self) -> StopSignals:
        self.process = os.getpid()
        heard = self.HANDLED if threading.current_thread() is threading.main_thread() else ()
        heard = [number for number in heard if signal.getsignal(number) != signal.SIG_IGN]
        self.before = {number: signal.signal(number, self._note) for number in heard}
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def interrupt(self) -> None:
        """Raise what the noted signal stands for, if one was noted."""
        if self.noted is not None:
            interrupt(self.noted)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self.process:  # a forked process that decodes images: it ends when its parent does
            if os.getppid() != self.process:
                os._exit(128 + number)
            return
        if self.noted is not None:
            interrupt(number)
        self.noted = number
        os.write(2, b"\nstopping after this step; a second signal stops at once and loses what is not saved\n")


def interrupt(number: int, frame: FrameType | None = None) -> None:
    """Raise `KeyboardInterrupt` for Ctrl-C, else `SystemExit`; a signal handler."""
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise SystemExit(128 + number)
