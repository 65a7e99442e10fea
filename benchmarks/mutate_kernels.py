"""Do the emulated tests notice a broken CUDA kernel? Applies one mutation at a time and runs them.

    python benchmarks/mutate_kernels.py [--only WORD] [--jobs 2]

Each mutation is a piece of a kernel and what to put in its place: a barrier dropped, a comparison turned, x and y
swapped, an index off by one, a check left out. A mutant is killed when a test fails; one that survives is a hole in the
tests, and the exit status says so.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests/ops")]
import emulated_cuda  # noqa: E402
import tyro  # noqa: E402

# The same examples in every run, and none made smaller: that something fails is enough.
RUN_TESTS = """
import sys, pytest
from hypothesis import Phase, settings
settings.register_profile("mutants", max_examples=200, deadline=None, derandomize=True, phases=[Phase.generate])
options = ["-x", "-q", "-m", "slow or not slow", "-p", "no:cacheprovider", "--hypothesis-profile=mutants"]
sys.exit(pytest.main([*options, "tests/ops/test_cuda_kernels.py"]))
"""
BARRIER = "__syncthreads();"
# file, what stands there, what the mutant has instead, and, if it stands there more than once, which one (from 0)
MUTATIONS = [
    # barriers
    *[("nms.cu", BARRIER, "", n) for n in range(5)],
    *[("roi_max_pool.cu", BARRIER, "", n) for n in range(2)],
    *[("roi_max_pool_backward.cu", BARRIER, "", n) for n in range(2)],
    # nms: comparisons
    ("arithmetic.h", "return a < b ? a : b;", "return a > b ? a : b;"),
    ("arithmetic.h", "return (box.x2 - box.x1) *", "return (box.x2 - box.y1) *"),
    ("arithmetic.h", "((area_a + area_b) - inter)", "(area_a + (area_b - inter))"),
    ("nms.cu", "area(b)) > threshold", "area(b)) >= threshold"),
    ("nms.cu", "smaller(a.x2, b.x2) > larger(a.x1, b.x1) &&", "smaller(a.x2, b.x2) > larger(a.x1, b.y1) &&"),
    ("nms.cu", "smaller(a.x2, b.x2) > larger(a.x1, b.x1) &&", "smaller(a.x2, b.x2) > larger(a.x1, b.x1) + 1 &&"),
    ("nms.cu", "> larger(a.y1, b.y1);", "< larger(a.y1, b.y1);"),
    ("nms.cu", "segments == nullptr || segments[i] == segments[j]", "true"),
    (
        "nms.cu",
        "segments == nullptr || segments[i] == segments[j]",
        "segments == nullptr || segments[i] <= segments[j]",
    ),
    # nms: indices
    ("nms.cu", "= {corner[0], corner[1], corner[2], corner[3]}", "= {corner[1], corner[0], corner[2], corner[3]}"),
    ("nms.cu", "visited.segments[i] = segments[order[i]]", "visited.segments[i] = segments[i]"),
    ("nms.cu", "struck[i] = false;", ""),
    ("nms.cu", "if (word > own_word) return;", "if (word >= own_word) return;"),
    ("nms.cu", "smaller<int64_t>(kWord, i - first)", "smaller<int64_t>(kWord, i - first + 1)"),
    ("nms.cu", "smaller<int64_t>(kWord, i - first)", "smaller<int64_t>(kWord - 1, i - first)"),
    ("nms.cu", "uint64_t(suppresses) << b", "uint64_t(suppresses) << (b & 31)"),
    ("nms.cu", "kept_bits[w] = 0;", ""),
    ("nms.cu", "w <= last_word; w += kWarp", "w < last_word; w += kWarp"),
    ("nms.cu", "bool suppressed = struck[i];", "bool suppressed = false;"),
    ("nms.cu", "open = i < end && !struck[i]", "open = i < end"),
    ("nms.cu", "open = i < end && !struck[i]", "open = !struck[i]"),
    ("nms.cu", "w <= threadIdx.x / kWord; ++w", "w < threadIdx.x / kWord; ++w"),
    ("nms.cu", "kept_bits[2 * w + 1]) << 32", "kept_bits[2 * w]) << 32"),
    ("nms.cu", "open_bits[2 * w + 1]) << 32 | open_bits[2 * w]", "open_bits[2 * w + 1]) << 32"),
    ("nms.cu", "keep = keepers == 0 && waits == 0", "keep = keepers == 0"),
    ("nms.cu", "open = keepers == 0 && waits != 0", "open = false"),
    ("nms.cu", "k < end && kept[k] && together", "k < end && together"),
    ("nms.cu", "kept[k] && together(visited.segments, k, end - 1)", "kept[k]"),
    ("nms.cu", "struck[i] || !together(visited.segments, i, end - 1)", "struck[i]"),
    ("nms.cu", "if (threadIdx.x == 0) number = 0;", ""),
    ("nms.cu", "n < number; ++n", "n + 1 < number; ++n"),
    ("nms.cu", "blocks(groups(count - end, kBlock), groups(chunk, kBlock))", "blocks(groups(count - end, kBlock))"),
    ("nms.cu", "if (i < count) keep[order[i]] = kept[i];", "if (i < count) keep[i] = kept[i];"),
    # what a RoI covers
    ("arithmetic.h", ">= T(0.5)", "> T(0.5)"),
    ("arithmetic.h", "larger(smaller(x, T(16777216)), T(-16777216))", "larger(smaller(x, T(4194304)), T(-4194304))"),
    ("arithmetic.h", "- start + 1)", "- start)"),
    ("arithmetic.h", "if (inverted) return {0, 0};", ""),
    ("arithmetic.h", "{larger<int64_t>(smaller(begin, cells), 0)", "{begin"),
    ("arithmetic.h", "larger<int64_t>(smaller(end, cells), 0)}", "larger<int64_t>(end, 0)}"),
    ("arithmetic.h", "std::ceil(", "std::floor("),
    # pooling: checks, order, indices
    ("roi_max_pool.h", "level >= 0 && ", ""),
    ("roi_max_pool.h", "level < depth &&", "level <= depth &&"),
    ("roi_max_pool.h", "batch >= 0 &&", "batch >= -1 &&"),
    ("roi_max_pool.h", "batch < static_cast<double>(images)", "batch <= static_cast<double>(images)"),
    ("roi_max_pool.h", "good = good && batch == std::trunc(batch);", ""),
    ("roi_max_pool.h", "for (int k = 1; k < 5; ++k) good", "for (int k = 1; k < 4; ++k) good"),
    ("roi_max_pool.h", "for (int k = 1; k < 5; ++k) good", "for (int k = 2; k < 5; ++k) good"),
    ("roi_max_pool.cu", "y(side(rois, r, 1,", "y(side(rois, r, 0,"),
    ("roi_max_pool.cu", "roi[3 + axis]", "roi[1 + axis]"),
    ("roi_max_pool.cu", "return {zero<E>(), -1};", "return {minus_infinity<E>(), -1};"),
    ("roi_max_pool.cu", "if (widen(value) > widen(best.value))", "if (widen(value) >= widen(best.value))"),
    ("roi_max_pool.cu", "if (widen(value) > widen(best.value))", "if (!(widen(value) <= widen(best.value)))"),
    ("roi_max_pool.cu", "row * level.width + column}", "row * level.height + column}"),
    ("roi_max_pool.cu", "region.at.image * level.image_stride +", ""),
    ("roi_max_pool.cu", "kChannelsFirst ? rest / bins : rest % channels", "kChannelsFirst ? rest / bins : rest / bins"),
    ("roi_max_pool.cu", "bin / size, bin % size", "bin % size, bin / size"),
    (
        "roi_max_pool.cu",
        "if (n >= rois.count * channels * bins) return;",
        "if (n > rois.count * channels * bins) return;",
    ),
    ("roi_max_pool.cu", "lane < width; b +=", "lane < kWarp; b +="),
    ("roi_max_pool.cu", "bins + first + b;", "bins + b;"),
    ("roi_max_pool.cu", "smaller(staged_bins, bins - first)", "staged_bins"),
    ("roi_max_pool.cu", "read(staged_cells, b * kPitch + c)", "read(staged_cells, c * kPitch + b)"),
    # backward
    ("roi_max_pool_backward.cu", "element(cell) = 0;", ""),
    ("roi_max_pool_backward.cu", "at.level != l ||", ""),
    ("roi_max_pool_backward.cu", "|| at.image != image", ""),
    ("roi_max_pool_backward.cu", "if (cell >= 0 && cell < cells) element", "if (cell >= 0) element"),
    ("roi_max_pool_backward.cu", "if (cell >= 0 && cell < cells) element", "if (cell > 0 && cell < cells) element"),
    ("roi_max_pool_backward.cu", "a.rows.begin < b.rows.end && b.rows", "a.rows.begin <= b.rows.end && b.rows"),
    ("roi_max_pool_backward.cu", "larger(a.columns.end, b.columns.end)", "smaller(a.columns.end, b.columns.end)"),
    ("roi_max_pool_backward.cu", "column = cell - row * width", "column = row * width"),
    ("roi_max_pool_backward.cu", "if (cell >= 0 && cell < cells) extent", "if (cell >= 0) extent"),
    ("roi_max_pool_backward.cu", "unsigned n = 1; n < blockDim.x", "unsigned n = 2; n < blockDim.x"),
    ("roi_max_pool_backward.cu", "tile -= tiles;", ""),
    ("roi_max_pool_backward.cu", "smaller(top + kTile, level.height)", "top + kTile"),
    ("roi_max_pool_backward.cu", "smaller(left + kTile, level.width)", "left + kTile"),
    ("roi_max_pool_backward.cu", "sums[warp][cell * kPitch + lane] = 0;", ""),
    ("roi_max_pool_backward.cu", "reaches[candidate].at.good &&", ""),
    ("roi_max_pool_backward.cu", "reaches[candidate].at.level == l;", "true;"),
    ("roi_max_pool_backward.cu", "reaches[candidate].at.image == image &&", ""),
    ("roi_max_pool_backward.cu", "turn++ % kWarps != warp", "turn++ % kWarps < warp"),
    ("roi_max_pool_backward.cu", "first_bin < bins; first_bin += kWarp", "first_bin < kWarp; first_bin += kWarp"),
    ("roi_max_pool_backward.cu", "own < bins && meet", "meet"),
    ("roi_max_pool_backward.cu", "== 0 || c >= channels) continue;", "== 0) continue;"),
    ("roi_max_pool_backward.cu", "if (!meet(one, area)) continue;", ""),
    (
        "roi_max_pool_backward.cu",
        "(one.rows.begin - top) * kTile + one.columns",
        "(one.columns.begin - left) * kTile + one.rows",
    ),
    ("roi_max_pool_backward.cu", "|| k >= channels) continue;", ") continue;"),
    ("roi_max_pool_backward.cu", "for (int w = 1; w < kWarps; ++w) sum +=", "for (int w = 2; w < kWarps; ++w) sum +="),
    # types
    ("element.h", "magnitude >= 0x7c00u", "magnitude > 0x7c00u"),
    ("element.h", "0x1p112f", "0x1p111f"),
    ("element.h", "return sign ? -value : value;", "return value;"),
    ("element.h", "return {0xff80};", "return {0xff7f};"),
    ("element.h", "return {0xfc00};", "return {0xfbff};"),
]


def mutated(text: str, old: str, new: str, which: int = 0) -> str:
    """`text` with one occurrence of `old` replaced."""
    places = text.split(old)
    if len(places) < which + 2:
        raise SystemExit(
            f"the kernels no longer hold {old!r} {which + 1} times: bring the list of mutations up to date"
        )
    return old.join(places[: which + 1]) + new + old.join(places[which + 1 :])


def killed(mutation: tuple, work: Path) -> str | None:
    """What kills the mutant, or None."""
    name, *change = mutation
    csrc = work / "csrc"
    shutil.copytree(ROOT / "csrc", csrc)
    file = csrc / name if (csrc / name).exists() else csrc / "cuda" / name
    file.write_text(mutated(file.read_text(), *change))
    # -w: a warning is no test. Sanitizers second: they are slow, but an index out of bounds may well change no result.
    return failure(csrc, ("-w",)) or failure(csrc, ("-w", *emulated_cuda.SANITIZE))


def failure(csrc: Path, flags: tuple[str, ...]) -> str | None:
    """The first thing that goes wrong in the tests with the kernels of `csrc`, or None."""
    try:
        library = emulated_cuda.build(csrc, flags)
    except RuntimeError:
        return "the compiler"
    environment = os.environ | {"FASTERFPN_EMULATED_CUDA": str(library), "OMP_NUM_THREADS": "1"}
    if len(flags) > 1:
        where = ["g++", "-print-file-name=libasan.so"]
        environment["LD_PRELOAD"] = subprocess.run(where, capture_output=True, text=True).stdout.strip()
        environment["ASAN_OPTIONS"] = "detect_leaks=0"  # Python's own
    command = [sys.executable, "-c", RUN_TESTS]
    try:
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=240)
    except subprocess.TimeoutExpired:
        return "a hang"
    finally:
        library.unlink()
    if done.returncode == 0:
        return None
    output = done.stdout + done.stderr
    failed = [line for line in output.splitlines() if line.startswith("FAILED")]
    if failed:
        return failed[0].split("::")[1].split(" ")[0]
    sanitizers = [name for name in ("AddressSanitizer", "runtime error") if name in output]
    return sanitizers[0] if sanitizers else f"exit status {done.returncode}"


def main(only: str = "", jobs: int = os.cpu_count() or 1) -> None:
    """Break the kernels, one mutation at a time, and run the tests on each.

    Args:
        only: mutations with this word in the file or the text.
        jobs: mutants tested at the same time.
    """
    chosen = [mutation for mutation in MUTATIONS if only in " ".join(map(str, mutation))]
    survivors = 0
    if failed := failure(ROOT / "csrc", ("-w",)):
        sys.exit(f"the kernels fail as they are ({failed}): a mutant that does so shows nothing")

    def run(mutation):
        with tempfile.TemporaryDirectory() as work:
            return mutation, killed(mutation, Path(work))

    with ThreadPoolExecutor(jobs) as pool:
        for (name, old, new, *_), killer in pool.map(run, chosen):
            survivors += killer is None
            verdict = f"killed by {killer}" if killer else "SURVIVED"
            print(f"{verdict:70} {name}: {old} -> {new or '(nothing)'}", flush=True)
    print(f"{len(chosen) - survivors} of {len(chosen)} mutants killed")
    sys.exit(survivors > 0)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as compiled:  # a hundred mutants would fill the tests' cache
        emulated_cuda.CACHE = Path(compiled)
        tyro.cli(main)
