"""Compiles the kernels under csrc/ into one library, fasterfpn/_C.abi3.so, and writes how to fasterfpn/_C.json.

The library is made against LibTorch's stable ABI (torch 2.10) and holds nothing of Python: torch.ops.load_library loads
it, and one file serves every torch >= 2.10, with or without CUDA, and every Python. Hence the rules for ninja below
instead of torch's BuildExtension, which ties a .cu file to the CUDA version of the torch at hand.

    FASTERFPN_BUILD=auto      (default) build; without a C++ compiler install on the reference operators
                    require   build; without a C++ compiler fail
                    off       never build
    FASTERFPN_CUDA=1|0        with the CUDA kernels or without them; by default with them if nvcc is found
    TORCH_CUDA_ARCH_LIST      e.g. "8.6;9.0+PTX"; by default every generation from 7.5 to 12.0 that nvcc knows
    CXX, CUDA_HOME, NVCC_CCBIN, MAX_JOBS   as usual

`python setup.py build_ext --inplace` recompiles what changed, and nothing else.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from importlib import metadata, util
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).resolve().parent
OLDEST_TORCH = (2, 10)
SOURCES = sorted(str(file.relative_to(ROOT)) for file in ROOT.glob("csrc/**/*.*"))  # headers too, for an sdist
# No contraction to fused multiply-add: comparisons at a threshold must not depend on the machine. No -march: the
# library travels, and the kernels choose their vector instructions at run time.
COMMON = ["-O3", "-std=c++17", "-DTORCH_TARGET_VERSION=0x020a000000000000"]
HOST = ["-fPIC", "-fvisibility=hidden", "-Wall", "-ffp-contract=off"]
DEVICE = ["-DUSE_CUDA", "-fmad=false"]
# The symbols of the static CUDA runtime stay inside, for torch loads its own; undefined ones are an error here and now.
LINK = ["-shared", "-Wl,--exclude-libs,ALL", "-Wl,-z,defs"]
# One of each generation: code for 8.0 runs on 8.9, and for 12.0 on 12.1; newer devices start from the PTX of the last.
ARCHITECTURES = ["7.5", "8.0", "8.6", "9.0", "10.0", "12.0"]

NINJA = """\
rule cxx
  description = c++ $in
  command = {cxx} -MMD -MF $out.d -c $in -o $out
  depfile = $out.d
  deps = gcc
rule nvcc
  description = nvcc $in
  command = {nvcc} -MMD -MF $out.d -c $in -o $out
  depfile = $out.d
  deps = gcc
rule link
  description = link $out
  command = {link} $in -o $out {libraries}
"""


def stop(message: str) -> None:
    """Ends the install with one line: pip shows a SystemExit without a traceback."""
    raise SystemExit(f"fasterfpn: {message}")


def choice(name: str, allowed: tuple[str, ...]) -> str:
    """The environment variable `name`, or the first of `allowed` if it is unset or empty."""
    value = os.environ.get(name) or allowed[0]
    return value if value in allowed else stop(f"{name}={value} is none of {', '.join(filter(None, allowed))}.")


def find_compiler() -> str | None:
    """$CXX, else the first C++ compiler on the PATH."""
    if wanted := os.environ.get("CXX"):
        return wanted if shutil.which(wanted.split()[0]) else stop(f"CXX={wanted} is not to be found.")
    return next(filter(None, map(shutil.which, ("c++", "g++", "clang++"))), None)


def find_nvcc() -> str | None:
    places = [os.environ.get("CUDA_HOME", ""), "", "/usr/local/cuda"]
    return next(filter(None, (shutil.which(f"{place}/bin/nvcc" if place else "nvcc") for place in places)), None)


def find_torch() -> tuple[Path, str]:
    """Folder and version of the torch whose headers are used. It is not imported: that takes seconds."""
    spec = util.find_spec("torch")
    if spec is None:
        needed = "'torch>=2.10' 'setuptools>=77' ninja"
        stop(f"torch is missing. Drop --no-build-isolation, or first run: pip install {needed}")
    version = metadata.version("torch")
    if tuple(map(int, version.split(".")[:2])) < OLDEST_TORCH:
        stop(f"torch {version} is too old. Run: pip install --upgrade 'torch>=2.10'")
    if util.find_spec("ninja") is None:
        stop("ninja is missing. Run: pip install ninja")
    return Path(spec.origin).parent, version


def architectures(nvcc: str) -> list[str]:
    """TORCH_CUDA_ARCH_LIST or the default, as a list like ["8.6", "9.0+PTX"] that `nvcc` can compile."""
    listing = subprocess.run([nvcc, "--list-gpu-code"], capture_output=True, text=True)
    known = [f"{code[:-1]}.{code[-1]}" for code in re.findall(r"sm_(\d+)\b", listing.stdout)]
    if listing.returncode or not known:
        stop(f"`{nvcc} --list-gpu-code` fails; it needs CUDA 11.5 or newer. FASTERFPN_CUDA=0 leaves the kernels out.")
    wanted = re.findall(r"[^;,\s]+", os.environ.get("TORCH_CUDA_ARCH_LIST", ""))
    if not wanted:
        wanted = [arch for arch in ARCHITECTURES if arch in known] or known[-1:]
        wanted[-1] += "+PTX"
    for arch in wanted:
        match = re.fullmatch(r"(\d+\.\d)[af]?(\+PTX)?", arch)
        if not match or match[1] not in known:
            stop(f"TORCH_CUDA_ARCH_LIST: {nvcc} cannot compile for {arch!r}; it can for {' '.join(known)}.")
    return wanted


def gencode(arch: str) -> list[str]:
    """nvcc's flags for "9.0" (machine code) or "9.0+PTX" (both)."""
    number = arch.removesuffix("+PTX").replace(".", "")
    flags = [f"-gencode=arch=compute_{number},code=sm_{number}"]
    return flags + [f"-gencode=arch=compute_{number},code=compute_{number}"] * arch.endswith("+PTX")


def escape(path: Path) -> str:
    return re.sub(r"[$ :]", r"$\g<0>", str(path))  # for ninja


def decide() -> dict:
    """What to build with what, or why nothing: the content of _C.json, which `python -m fasterfpn.doctor` shows."""
    mode, cuda = choice("FASTERFPN_BUILD", ("auto", "require", "off")), choice("FASTERFPN_CUDA", ("", "0", "1"))
    if mode == "off":
        return {"built": False, "why": "FASTERFPN_BUILD=off"}
    compiler, nvcc, kernels = find_compiler(), find_nvcc(), any(ROOT.glob("csrc/cuda/*.cu"))
    if sys.platform != "linux" or not compiler:
        why = "no C++ compiler was found" if sys.platform == "linux" else f"not built on {sys.platform}"
        if mode == "require" or cuda == "1":
            stop(f"{why}, and FASTERFPN_BUILD=require or FASTERFPN_CUDA=1 is set. On Debian: apt install g++")
        return {"built": False, "why": why}
    if cuda == "1" and not nvcc:
        stop("FASTERFPN_CUDA=1, but nvcc is neither in $CUDA_HOME/bin nor on the PATH nor in /usr/local/cuda/bin.")
    if cuda == "1" and not kernels:
        stop("FASTERFPN_CUDA=1, but there is no csrc/cuda/*.cu: the sources are not complete.")
    if cuda != "0" and nvcc and kernels:
        part = {"built": True, "nvcc": nvcc, "architectures": architectures(nvcc)}
    elif cuda == "0":
        part = {"built": False, "why": "FASTERFPN_CUDA=0"}
    else:
        part = {"built": False, "why": "nvcc was not found" if kernels else "there is no csrc/cuda/*.cu"}
    version = subprocess.run([*compiler.split(), "--version"], capture_output=True, text=True, check=True).stdout
    about = {"compiler": compiler, "compiler_version": version.partition("\n")[0], "flags": COMMON + HOST}
    return {"built": True, **about, "torch": find_torch()[1], "cuda": part}


def compile_kernels(record: dict, library: Path, folder: Path) -> None:
    """Writes folder/build.ninja and runs it: one object in `folder` for each source, then `library`."""
    torch, cuda = find_torch()[0], record["cuda"]
    include, compiler = ["-isystem", f"{torch}/include", f"-I{ROOT}/csrc"], record["compiler"].split()
    nvcc = [cuda["nvcc"], "-cudart=static"] if cuda["built"] else []
    generated = [flag for arch in cuda.get("architectures", []) for flag in gencode(arch)]
    variables = {
        "cxx": [*compiler, *record["flags"], *include],
        "nvcc": [*nvcc, *COMMON, *DEVICE, "-Xcompiler=" + ",".join(HOST), *generated, *include],
        # With CUDA nvcc links, for it knows where its static runtime lies.
        "link": [*nvcc, *(f.replace("-Wl,", "-Xlinker=") for f in LINK)] if nvcc else [*compiler, *LINK],
        "libraries": [f"-L{torch}/lib", "-ltorch", "-ltorch_cpu", "-lc10"],
    }
    rules = NINJA.format(**{name: shlex.join(words).replace("$", "$$") for name, words in variables.items()})
    objects = []
    for source in SOURCES:
        rule = {".cpp": "cxx", ".cu": "nvcc"}.get(Path(source).suffix)
        if rule and (nvcc or not source.startswith("csrc/cuda/")):
            objects.append(f"{source}.o")
            rules += f"build {objects[-1]}: {rule} {escape(ROOT / source)}\n"
    rules += f"build {escape(library)}: link {' '.join(objects)}\n"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "build.ninja").write_text(rules)
    jobs = ["-j", os.environ["MAX_JOBS"]] if os.environ.get("MAX_JOBS") else []
    if subprocess.run([sys.executable, "-m", "ninja", "-C", str(folder), *jobs]).returncode:
        stop(
            "the kernels did not compile, see above. Ways round: FASTERFPN_CUDA=0 leaves the CUDA kernels out,"
            " NVCC_CCBIN=g++-12 gives nvcc an older host compiler, FASTERFPN_BUILD=off installs without the library."
        )


class BuildKernels(build_ext):
    """setuptools' step for compiled code; with --inplace, as in `pip install -e .`, beside the Python sources."""

    def run(self) -> None:
        package = ROOT / "fasterfpn" if self.inplace else Path(self.build_lib).resolve() / "fasterfpn"
        package.mkdir(parents=True, exist_ok=True)
        library, record_file, record = package / "_C.abi3.so", package / "_C.json", decide()
        record_file.unlink(missing_ok=True)  # until this build has ended well
        if record["built"]:
            compile_kernels(record, library, Path(self.build_temp).resolve())
        else:
            library.unlink(missing_ok=True)  # an older one would contradict the record
        record_file.write_text(json.dumps(record, indent=1) + "\n")

    def get_outputs(self) -> list[str]:
        return [file for file in super().get_outputs() if os.path.exists(file)]


setup(
    ext_modules=[Extension("fasterfpn._C", SOURCES, py_limited_api=True)],
    cmdclass={"build_ext": BuildKernels},
    options={"bdist_wheel": {"py_limited_api": "cp310"}},
)
