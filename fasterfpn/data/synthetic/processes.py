"""Work on a range of indices, spread over processes."""

from __future__ import annotations

import multiprocessing
import os
import signal
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import TypeVar

from tqdm import tqdm

CHUNK = 8  # images a worker process takes at a time
Result = TypeVar("Result")


def in_processes(
    function: Callable[[int], Result], indices: range, workers: int | None, label: str, progress: bool
) -> Iterator[Result]:
    """function(i) for each index, in order, computed by `workers` processes (None: one a CPU) under a progress bar."""
    if not hasattr(os, "sched_getaffinity"):  # not Linux: no fork, or none that is safe
        workers = 1
    workers = min(len(os.sched_getaffinity(0)) if workers is None else workers, len(indices) // CHUNK)
    bar = partial(tqdm, total=len(indices), desc=label, unit="image", disable=not progress, leave=False)
    if workers < 2:
        yield from bar(map(function, indices))
        return
    # Forked children start at once and need no importable main module; they never touch torch, whose threads do not
    # survive a fork. Ctrl-C is the parent's to handle.
    context = multiprocessing.get_context("fork")
    executor = ProcessPoolExecutor(workers, context, signal.signal, (signal.SIGINT, signal.SIG_IGN))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 on: threads and fork
            results = executor.map(function, indices, chunksize=CHUNK)
        yield from bar(results)
    finally:
        executor.shutdown(cancel_futures=True)
