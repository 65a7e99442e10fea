"""What the kernels' benchmarks share: medians, what they were measured on, and where the results go.

Rivals are timed in turns in one process, so that a slower or faster spell of the machine hits all of them alike, and
their medians are compared, which a stray interruption does not move.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType

import torch

RESULTS = Path(__file__).resolve().parent / "results"
Row = Mapping[str, object]


def median_seconds(function: Callable[[], object], budget: float = 1.0, at_least: int = 3) -> float:
    """The median time of a call, over the calls that fit into `budget` seconds, and `at_least` so many."""
    return medians({"": function}, budget, at_least)[""]


def medians(functions: Mapping[str, Callable[[], object]], budget: float = 1.0, at_least: int = 3) -> dict[str, float]:
    """The median time of a call of each function, in seconds; the functions take turns.

    A turn is a quarter of the budget, and one call at least. The call before it is not counted: it meets the caches and
    the memory that the system has to hand as the rival left them. The turns go on until a function's own calls have
    taken `budget` seconds, and `at_least` so many times. One whose first call takes five budgets is not called again:
    that call counts.
    """
    times = {name: [_seconds(function)] for name, function in functions.items()}
    unfinished = [name for name in functions if times[name][0] < 5 * budget]
    for name in unfinished:
        times[name].clear()
    while unfinished:
        for name in unfinished:
            functions[name]()
            turn = time.perf_counter()
            while not times[name] or time.perf_counter() - turn < budget / 4:
                times[name].append(_seconds(functions[name]))
        unfinished = [name for name in unfinished if sum(times[name]) < budget or len(times[name]) < at_least]
    return {name: statistics.median(seconds) for name, seconds in times.items()}


def _seconds(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def waiting(function: Callable[[], object], device: str) -> Callable[[], object]:
    """The function, which returns when the device is done with it."""
    if device == "cpu":
        return function

    def run() -> object:
        result = function()
        torch.cuda.synchronize()
        return result

    return run


def copy_rate(device: str = "cpu", size: int = 2**28) -> float:
    """Bytes a second that the device moves when torch copies `size` bytes, each read once and written once."""
    source = torch.ones(size // 4, device=device)
    target = torch.empty_like(source)
    return 2 * size / median_seconds(waiting(lambda: target.copy_(source), device), budget=0.5)


def torchvision_ops() -> ModuleType | None:
    """`torchvision.ops`, the rival; None where torchvision is missing or does not fit the torch at hand."""
    try:
        import torchvision

        torchvision.ops.nms(torch.zeros(1, 4), torch.zeros(1), 0.5)
    except (ImportError, OSError, RuntimeError, AttributeError):
        return None
    return torchvision.ops


def machine(device: str = "cpu") -> str:
    """One line: GPU if it is that, processor, cores, threads, versions."""
    ops = torchvision_ops()
    rival = "no torchvision"
    if ops is not None:
        import torchvision

        rival = f"torchvision {torchvision.__version__}"
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    capability = torch.backends.cpu.get_cpu_capability()
    gpu = f"{torch.cuda.get_device_name()}, CUDA {torch.version.cuda}, beside " if device == "cuda" else ""
    return (
        f"{gpu}{_processor()}, {capability}, {cores} cores, {torch.get_num_threads()} threads, "
        f"torch {torch.__version__}, {rival}, Python {platform.python_version()}"
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def write_results(name: str, heading: str, text: str, tables: Mapping[str, Sequence[Row]], device: str = "cpu") -> None:
    """Writes results/<name>.md, a heading, text, the machine and a table for each title, and results/<name>.json.

    The keys of a table's first row are its columns; numbers are shown with three digits, None as a dash. A part of the
    results that is no table of figures, a picture say, goes into `text`.
    """
    RESULTS.mkdir(exist_ok=True)
    where = machine(device)
    parts = [f"# {heading}", text, where + "."]
    for title, rows in tables.items():
        parts += [f"## {title}"] * bool(title) + [markdown_table(rows)]
    (RESULTS / f"{name}.md").write_text("\n\n".join(parts) + "\n")
    content = {"machine": where, "tables": {title: list(map(dict, rows)) for title, rows in tables.items()}}
    (RESULTS / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n")
    print(f"wrote {RESULTS / name}.md and .json")


def markdown_table(rows: Sequence[Row]) -> str:
    columns = list(rows[0])
    lines = [columns, ["---"] + ["---:"] * (len(columns) - 1)]
    lines += [[_shown(row.get(column)) for column in columns] for row in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _shown(value: object) -> str:
    if value is None:
        return "—"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def save_curves(
    name: str, panels: Mapping[str, Mapping[str, tuple[Sequence[float], Sequence[float]]]], x_label: str, y_label: str
) -> None:
    """Writes results/<name>.svg: side by side a log-log plot for each panel, its curves as name -> (x, y)."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "fasterfpn"  # the same curves give the same file
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, len(panels), figsize=(4.6 * len(panels), 4.2), squeeze=False, sharey=True)
    labels = list(dict.fromkeys(label for curves in panels.values() for label in curves))  # one colour each, in all
    for axis, (title, curves) in zip(axes[0], panels.items()):
        for label, (x, y) in curves.items():
            axis.loglog(x, y, marker=".", label=label, color=f"C{labels.index(label)}")
        axis.set(title=title, xlabel=x_label)
        axis.grid(True, which="major", alpha=0.3)
        axis.legend(fontsize=8)
    axes[0, 0].set_ylabel(y_label)
    figure.tight_layout()
    RESULTS.mkdir(exist_ok=True)
    figure.savefig(RESULTS / f"{name}.svg", metadata={"Date": None})
    plt.close(figure)
    print(f"wrote {RESULTS / name}.svg")
