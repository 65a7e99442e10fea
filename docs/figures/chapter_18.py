"""Figures of chapter 18: what a warp reads and writes, and the banks of shared memory."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

LANES, FLOATS, BANKS = 32, 8, 32  # lanes of a warp, floats of a sector (32 bytes), banks of shared memory
CHANNELS, BINS, WIDTH = 256, 49, 80  # of the maps, of a RoI, and of P4 at 1280 x 960
USED, MOVED = "#1f5fa8", "#c9dbef"
CELLS_A_BIN = 2  # along x and y alike, of the RoI that is drawn


def addresses(version: int, what: str) -> list[int]:
    """Return the float that each lane of the first warp reads or writes first, counted from the first of them.

    Version 1 gives neighbouring lanes neighbouring bins, version 2 neighbouring channels; the maps are channels-last,
    and the result is (channels, bins). Version 3 computes as version 2 and writes as version 1.
    """
    by_bins = version == 1 or (version == 3 and what == "writes")
    if what == "writes":
        return [lane if by_bins else lane * BINS for lane in range(LANES)]
    if not by_bins:
        return list(range(LANES))
    return [(lane // 7 * WIDTH + lane % 7) * CELLS_A_BIN * CHANNELS for lane in range(LANES)]


def memory_of_a_warp() -> Figure:
    """For each version the sectors that 32 lanes touch in one step, with the floats of them that are used."""
    figure = Figure(figsize=(9, 4.4), layout="constrained")
    for column, what in enumerate(("reads", "writes")):
        ax = figure.add_subplot(1, 2, column + 1)
        for row, version in enumerate((1, 2, 3)):
            touched = sorted({address // FLOATS for address in addresses(version, what)})
            for i, sector in enumerate(touched):
                used = {address % FLOATS for address in addresses(version, what) if address // FLOATS == sector}
                _sector(ax, i % 16, 3.2 * row + 1.1 * (i // 16), used)
            note = f"{len(touched)} sectors: {len(touched) * FLOATS * 4} bytes for {LANES * 4}"
            ax.text(-0.4, 3.2 * row + 0.45, f"v{version}", ha="right", va="center", fontsize=13)
            ax.text(0, 3.2 * row - 0.2, note, va="bottom", fontsize=10)
        ax.set(xlim=(-2, 16.2), ylim=(9.0, -1.2))
        ax.set_title(f"a warp {what}")
        ax.axis("off")
    return figure


def _sector(ax: Axes, x: float, y: float, used: set[int]) -> None:
    """Draw the eight floats of a sector, those that a lane wants in a dark colour."""
    for i in range(FLOATS):
        place = (x + (i % 4) * 0.22, y + (i // 4) * 0.42)
        ax.add_patch(Rectangle(place, 0.2, 0.4, facecolor=USED if i in used else MOVED))


def banks_of_shared_memory() -> Figure:
    """In which bank lies element (row, 0) of an array whose rows are 32 numbers long, and of one with rows of 33?"""
    figure = Figure(figsize=(9, 3.9), layout="constrained")
    for ax, pitch in zip(figure.subplots(1, 2), (32, 33), strict=True):
        rows = 8
        for row in range(rows):
            for column in range(pitch):
                number = row * pitch + column
                colour = "#c0392b" if column == 0 else "#f2f2f2" if column < BANKS else "#ffe8b0"
                place = (number % BANKS, number // BANKS)
                ax.add_patch(Rectangle(place, 0.92, 0.92, facecolor=colour))
        banks = len({row * pitch % BANKS for row in range(rows)})
        turns = "1 turn" if banks == rows else f"{rows // banks} turns"
        ax.set_title(f"rows of {pitch}: banks of a column of {rows}: {banks},\nread in {turns}")
        ax.set(xlim=(-0.3, BANKS + 0.3), ylim=(rows + 1.2, -0.3), xticks=(0.5, 8.5, 16.5, 24.5, 31.5), yticks=[])
        ax.set_xticklabels(("0", "8", "16", "24", "31"))
        ax.set_xlabel("bank")
        ax.spines[:].set_visible(False)
    return figure


FIGURES = {"18_warp.svg": memory_of_a_warp, "18_banks.svg": banks_of_shared_memory}
