"""The CUDA kernels on the CPU: builds csrc/cuda/*.cu with tests/cuda_emulation/ by g++, and calls them on CPU tensors.

`seed` 0 runs the threads of a block in order; any other shuffles them. As csrc/cuda/operators.cpp, without torch's
operators around: no argument is checked here.
"""

import ctypes
import hashlib
import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import torch

from fasterfpn.ops import backend, reference

ROOT = Path(__file__).resolve().parents[2]
EMULATION = ROOT / "tests/cuda_emulation"
CSRC = ROOT / "csrc"
COMPILER = shutil.which("g++")
FLAGS = ("-std=c++17", "-O1", "-Wall", "-Werror", "-ffp-contract=off", "-fPIC")
SANITIZE = ("-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-fno-omit-frame-pointer")
RACES = ("-g", "-fsanitize=thread", "--param", "tsan-distinguish-volatile=1", "-pthread")  # see races.h
VERSIONS = {kernel: len(backend.versions(kernel, "cuda")) for kernel in backend.KERNELS}
SEEDS = (0, 1)  # threads in order, and shuffled
TYPES = {torch.float32: 0, torch.float64: 1, torch.bfloat16: 2, torch.float16: 3}
MAX_LEVELS = 16

CACHE = ROOT / "build/cuda_emulation"
CACHE.mkdir(parents=True, exist_ok=True)

i64, pointer = ctypes.c_int64, ctypes.c_void_p


class NmsInput(ctypes.Structure):
    _fields_ = [
        ("boxes", pointer),
        ("order", pointer),
        ("segments", pointer),
        ("count", i64),
        ("wide", ctypes.c_bool),
        ("threshold", ctypes.c_double),
    ]


class Level(ctypes.Structure):
    _fields_ = [
        ("data", pointer),
        *[(name, i64) for name in ("height", "width", "image", "channel", "row", "column")],
        ("scale", ctypes.c_double),
    ]


class Pyramid(ctypes.Structure):
    _fields_ = [("depth", i64), ("images", i64), ("channels", i64), ("levels", Level * MAX_LEVELS)]


class Rois(ctypes.Structure):
    _fields_ = [("corners", pointer), ("levels", pointer), ("count", i64), ("wide", ctypes.c_bool)]


class ArgMax(ctypes.Structure):
    _fields_ = [("cells", pointer), ("large", ctypes.c_bool)]


def compile_library(
    csrc: Path, sources: list[Path], flags: tuple[str, ...] = (), libraries: tuple[str, ...] = ()
) -> Path:
    """One shared library of `sources`. What was compiled before of the same texts and flags is taken from CACHE."""
    headers = [*csrc.glob("*.h"), *csrc.glob("cuda/*.h"), *EMULATION.glob("*.h")]
    texts = [(file.name, file.read_text()) for file in sorted(headers)]
    objects = [cached((texts, source.read_text(), flags), "o") for source in sources]
    library = cached(([target.name for target in objects], flags, libraries), "so")
    if library.exists():
        return library
    with tempfile.TemporaryDirectory(dir=CACHE) as work:
        command = [COMPILER, *FLAGS, *flags, f"-I{EMULATION}", f"-I{csrc}"]
        missing = [(source, target) for source, target in zip(sources, objects, strict=True) if not target.exists()]
        running = [
            subprocess.Popen(
                [*command, "-x", "c++", "-c", str(source), "-o", f"{work}/{target.name}"],
                stderr=subprocess.PIPE,
                text=True,
            )
            for source, target in missing
        ]
        errors = [process.communicate()[1] for process in running]
        if any(process.returncode for process in running):
            raise RuntimeError("".join(errors))
        for _, target in missing:  # whole or not at all, if several build at once
            os.replace(f"{work}/{target.name}", target)
        subprocess.run([COMPILER, *flags, "-shared", *objects, "-o", f"{work}/all.so", *libraries], check=True)
        os.replace(f"{work}/all.so", library)
    return library


def cached(inputs: tuple, ending: str) -> Path:
    """Where in CACHE the product of these inputs lies, or will."""
    return CACHE / f"{hashlib.sha256(repr(inputs).encode()).hexdigest()[:16]}.{ending}"


def build(csrc: Path = CSRC, flags: tuple[str, ...] = ()) -> Path:
    """The kernels of `csrc` with their entry points for ctypes."""
    return compile_library(csrc, [*sorted(csrc.glob("cuda/*.cu")), EMULATION / "entry_points.cpp"], flags)


# What is replaced in csrc/cuda/operators.cpp to run it on the CPU, whether or not torch has CUDA: device and stream.
ON_THE_CPU = {
    "using torch::stable::accelerator::DeviceGuard;": "struct DeviceGuard { explicit DeviceGuard(int) {} };",
    "void* current_stream(const Tensor& tensor) {": "void* current_stream(const Tensor&) { return nullptr; }\n"
    "[[maybe_unused]] void* torchs_stream(const Tensor& tensor) {",
    "STABLE_TORCH_LIBRARY_IMPL(fasterfpn, CUDA,": "STABLE_TORCH_LIBRARY_IMPL(fasterfpn_emulated, CPU,",
    '"../': '"',
    '"kernels.h"': '"cuda/kernels.h"',
}


@cache
def operators():
    """torch.ops.fasterfpn_emulated: the operators of csrc/cuda/operators.cpp with emulated kernels, on CPU tensors."""
    text, schemas = (CSRC / "cuda/operators.cpp").read_text(), (CSRC / "operators.cpp").read_text()
    for device, cpu in ON_THE_CPU.items():
        assert device in text, f"operators.cpp no longer holds {device!r}"
        text = text.replace(device, cpu)
    body = schemas[schemas.index("STABLE_TORCH_LIBRARY(") : schemas.index("STABLE_TORCH_LIBRARY_IMPL(")]
    source = CACHE / "operators.cpp"
    source.write_text(text + body.replace("(fasterfpn,", "(fasterfpn_emulated,"))
    torch_folder = Path(torch.__file__).parent
    flags = "-DTORCH_TARGET_VERSION=0x020a000000000000", "-isystem", f"{torch_folder}/include"
    libraries = str(build()), f"-L{torch_folder}/lib", "-ltorch", "-ltorch_cpu", "-lc10"
    torch.ops.load_library(compile_library(CSRC, [source], flags, libraries))
    return torch.ops.fasterfpn_emulated


@cache
def load(path: Path | None = None) -> ctypes.CDLL:
    """The emulated kernels; FASTERFPN_EMULATED_CUDA names a library to take instead of building one."""
    library = ctypes.CDLL(str(path or os.environ.get("FASTERFPN_EMULATED_CUDA") or build()))
    for name in ("emulated_nms", "emulated_roi_max_pool", "emulated_roi_max_pool_backward"):
        getattr(library, name).restype = ctypes.c_char_p
    library.emulated_nms_workspace.restype = i64
    return library


def call(name: str, *arguments) -> None:
    error = getattr(load(), name)(*arguments)
    if error:
        raise RuntimeError(error.decode())


def noise(shape, dtype) -> torch.Tensor:
    """Memory that holds neither zeros nor anything expected."""
    result = torch.empty(shape, dtype=dtype)
    result.untyped_storage().copy_(
        torch.full((result.untyped_storage().nbytes(),), 0xCD, dtype=torch.uint8).untyped_storage()
    )
    return result


def visiting_order(scores, segments):
    """Indices by descending score; and those by segment, and within one by descending score."""
    by_score = torch.sort(scores, descending=True, stable=True).indices
    if segments is None:
        return by_score, by_score
    return by_score, by_score[torch.sort(segments[by_score], stable=True).indices]


def nms(boxes, scores, segments, iou_threshold, version, seed=0, chunk=1024) -> torch.Tensor:
    boxes = boxes.to(reference.working_dtype(boxes)).contiguous()
    segments = None if segments is None else segments.contiguous()
    by_score, order = visiting_order(scores, segments)
    keep = noise((len(boxes),), torch.bool)
    wide, threshold = boxes.dtype == torch.float64, reference.round_down(iou_threshold, boxes.dtype)
    groups = None if segments is None else segments.data_ptr()
    given = NmsInput(boxes.data_ptr(), order.data_ptr(), groups, len(boxes), wide, threshold)
    call("emulated_nms", ctypes.byref(given), i64(version), i64(chunk), ctypes.c_uint64(seed), pointer(keep.data_ptr()))
    assert set(keep.view(torch.uint8).tolist()) <= {0, 1}  # each was written
    return by_score[keep[by_score]]


def nms_workspace(count: int, segments: bool, wide: bool, version: int) -> int:
    return load().emulated_nms_workspace(i64(count), ctypes.c_bool(segments), ctypes.c_bool(wide), i64(version))


def pyramid(maps, scales) -> Pyramid:
    """Of (N, C, H, W) tensors; they must outlive it."""
    nowhere = Level(1, 9, 9, 1, 1, 1, 1, 1.0)  # the levels that do not exist: to read one is to crash
    levels = (Level * MAX_LEVELS)(*[nowhere] * MAX_LEVELS)
    for level, (tensor, scale) in enumerate(zip(maps, scales, strict=True)):
        levels[level] = Level(tensor.data_ptr(), *tensor.shape[2:], *tensor.stride(), scale)
    return Pyramid(len(maps), *maps[0].shape[:2], levels)


def regions(rois, levels) -> Rois:
    return Rois(rois.data_ptr(), levels.data_ptr(), len(rois), rois.dtype == torch.float64)


def roi_max_pool(features, rois, levels, scales, size, with_argmax, version, seed=0, large=False):
    """Values and arg-max (or None), which is int64 if `large`."""
    if version > 1 and features[0].shape[1] > 1:
        features = [feature.contiguous(memory_format=torch.channels_last) for feature in features]
    rois, levels = rois.contiguous(), levels.contiguous()
    shape = (len(rois), features[0].shape[1], size, size)
    values = noise(shape, features[0].dtype)
    argmax = noise(shape, torch.int64 if large else torch.int32) if with_argmax else None
    cells = ArgMax(argmax.data_ptr() if with_argmax else None, large)
    what = ctypes.byref(pyramid(features, scales)), TYPES[values.dtype], ctypes.byref(regions(rois, levels))
    where = pointer(values.data_ptr()), ctypes.byref(cells), i64(version), ctypes.c_uint64(seed)
    call("emulated_roi_max_pool", *what, i64(size), *where)
    return values, argmax


def roi_max_pool_backward(grad, rois, levels, argmax, shapes, channels_last, version, seed=0):
    """The gradients of maps of `shapes`."""
    grad, argmax, rois, levels = grad.contiguous(), argmax.contiguous(), rois.contiguous(), levels.contiguous()
    gradients = [noise(shape, reference.working_dtype(grad)) for shape in shapes]
    if channels_last:
        gradients = [gradient.contiguous(memory_format=torch.channels_last) for gradient in gradients]
    cells, bins = ArgMax(argmax.data_ptr(), argmax.dtype == torch.int64), grad.shape[2] * grad.shape[3]
    what = (
        ctypes.byref(pyramid(gradients, [1.0] * len(gradients))),
        TYPES[grad.dtype],
        ctypes.byref(regions(rois, levels)),
    )
    given = i64(bins), pointer(grad.data_ptr()), ctypes.byref(cells), i64(version), ctypes.c_uint64(seed)
    call("emulated_roi_max_pool_backward", *what, *given)
    return [gradient.to(grad.dtype) for gradient in gradients]
