"""What the commands share: parsing and exit statuses, device and threads, images in and pictures out."""

from __future__ import annotations

import io
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn

import torch
import tyro
from PIL import Image
from tqdm import tqdm

from fasterfpn.data.tree import by_suffix, walk
from fasterfpn.engine.placement import Placement
from fasterfpn.engine.stop import interrupt
from fasterfpn.errors import InputError
from fasterfpn.files import OutputError, exclusive, write_bytes, writing

LARGEST_JPEG = 65_500  # pixels a side, libjpeg's limit
LONGEST_NAME = 255  # bytes, of the usual file systems
MOST_THREADS = 1024
VIDEOS = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".wmv")


def optional(metavar: str, name: str | None = None, text: str | None = None) -> Any:
    """For an argument that may be missing: how the help calls its value. What happens without it stands in `text`."""
    return tyro.conf.arg(name=name, metavar=metavar, help=text, help_behavior_hint="")


RunArgument = Annotated[
    tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN", help="a run folder, or a checkpoint file.")
]
ImagesArgument = Annotated[
    tyro.conf.Positional[tuple[Path, ...]],
    tyro.conf.arg(metavar="IMAGE_OR_FOLDER...", help="images, and folders that are searched for images."),
]
Device = Annotated[str, tyro.conf.arg(help="cpu, cuda, cuda:1, ...")]
Threads = Annotated[int | None, optional("N", text="CPU threads (default: torch's choice).")]
DEFAULT_DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def run(command: Callable[..., object], prog: str, args: Sequence[str] | None = None) -> None:
    """Parse `args` (default: the command line) into the arguments of `command`, call it, and leave with an exit status.

    0 when it returns; 2 with one line on standard error for an `InputError`, as for an argument that does not parse;
    130 after Ctrl-C, 143 after SIGTERM; 141 when the reader of standard output has gone (`| head`). Any other exception
    is a fault of the program and keeps its traceback.
    """
    main_thread = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGTERM, interrupt) if main_thread else None
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # names that the terminal's encoding does not know are escaped
            stream.reconfigure(errors="backslashreplace")
    try:
        tyro.cli(command, prog=prog, args=args)
        if sys.stdout is not None:  # None where the caller closed it: `>&-`
            sys.stdout.flush()
    except InputError as error:
        print(f"{prog}: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as error:
        if error.filename is not None:
            raise
        _leave_output(error)  # files are written in `fasterfpn.files`, which raises OutputError: this is a print
    finally:
        if main_thread:
            signal.signal(signal.SIGTERM, before)


def _leave_output(error: OSError) -> NoReturn:
    """Exit with 141 where the reader of standard output has gone, with 2 and one line where it takes no more."""
    # What is still buffered goes nowhere; else the interpreter would complain about it when it ends.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if isinstance(error, BrokenPipeError):
        sys.exit(128 + signal.SIGPIPE)
    print(f"standard output: cannot be written ({error.strerror or error})", file=sys.stderr)
    sys.exit(2)


def checked_device(name: str, threads: int | None = None) -> torch.device:
    """The device `name`, with torch set to that many CPU threads (default: torch's choice).

    Raises `InputError` where torch does not know the device or the machine lacks it, and for a bad number of threads.
    """
    if threads is not None:
        if not 1 <= threads <= MOST_THREADS:
            raise InputError(f"--threads {threads}: give a number from 1 to {MOST_THREADS}")
        torch.set_num_threads(threads)
    try:
        return Placement.on(name).device
    except InputError as error:
        raise InputError(f"--{error}; python -m fasterfpn.doctor lists the devices of this machine") from error


def check_writable(flag: str, path: Path) -> None:
    """Raise `InputError` now, before hours of work, where the file `path` that `flag` means could not be written."""
    if path.exists() and not path.is_file():
        raise InputError(f"{flag} {path}: is not a regular file; give another name")
    try:
        with writing(path), tempfile.TemporaryFile(dir=path.parent):
            pass
    except OutputError as error:
        raise InputError(f"{flag} {error}; give another name") from error


def for_each_image(
    inputs: Sequence[Path],
    out: Path,
    work: Callable[[Path, Path], None],
    finish: Callable[[int, dict[str, str]], None] = lambda total, failed: None,
) -> None:
    """Call `work(image, picture)` for each image of `inputs`, where `picture` is the path in `out` to save to.

    An image for which `work` raises `InputError`, or for which the memory does not suffice, is left out. However the
    loop ends, `finish` is then called with the number of all images and the reasons by image left out, which are
    listed on standard error. Exits with status 1 where an image was left out. Raises `InputError` for inputs that
    cannot be used at all, and `OutputError`, which ends the loop, for what the file system refuses.
    """
    if out.exists() and not out.is_dir():
        raise InputError(f"--out {out}: is not a folder; give another name")
    images = find_images(inputs, out)
    pictures = picture_paths(images, out)
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
    failed: dict[str, str] = {}
    done = 0
    with exclusive(out):
        try:
            for image, picture in zip(tqdm(images, unit="image"), pictures, strict=True):
                try:
                    work(image, picture)
                except OutputError:
                    raise
                except (InputError, MemoryError, torch.OutOfMemoryError) as error:
                    reason = str(error) or "not enough memory"
                    failed[str(image)] = reason.splitlines()[0].removeprefix(f"{image}: ")
                done += 1
        finally:
            if done < len(images):
                print(f"stopped after {done} of {len(images)} images", file=sys.stderr)
            finish(len(images), failed)
            if failed:
                lines = [f"  {image}: {reason}" for image, reason in failed.items()]
                print(f"{len(failed)} of {len(images)} images were left out:", *lines, sep="\n", file=sys.stderr)
    if failed:
        sys.exit(1)


def find_images(inputs: Sequence[Path], out: Path) -> list[Path]:
    """Images and those in folders, at any depth, sorted within a folder, each once; not the earlier results in `out`.

    Files of the folders that are not images are counted and named on standard error. Raises `InputError` for a path
    that does not exist or is a video, a folder without images, where `out` holds the images themselves, and where there
    is no path.
    """
    if not inputs:
        raise InputError("no image given; name images or folders after the run")
    place = out.resolve()
    images: dict[Path, Path] = {}  # resolved -> as given
    for path in inputs:
        if not path.exists():
            raise InputError(f"{path}: no such image or folder; check the path")
        if not path.is_file() and not path.is_dir():
            raise InputError(f"{path}: is neither a file nor a folder; give images or folders")
        if path.is_file() and path.suffix.lower() in VIDEOS:
            raise InputError(f"{path}: is a video; extract its frames (ffmpeg -i VIDEO %05d.png) and give their folder")
        listed = [path]
        if path.is_dir():
            tree = walk(path, out)
            listed, others = tree.images, by_suffix(tree.others, path)
            if not listed:
                raise InputError(f"{path}: no image in this folder" + (f"; it holds {others}" if others else ""))
            for problem in (*tree.problems, *([f"{path}: passed over {others}"] if others else [])):
                print(problem, file=sys.stderr)
        for image in listed:
            if place in (image.parent.resolve(), image.resolve().parent):
                raise InputError(
                    f"--out {out}: the image {image.name} lies there and might be overwritten; give another folder"
                )
            images.setdefault(image.resolve(), image)
    return list(images.values())


def picture_paths(images: Sequence[Path], out: Path) -> list[Path]:
    """`out`/<stem>.jpg for each image; a stem met before gets _2, _3, ... What is too long for a name is shortened."""
    paths: dict[Path, None] = {}
    for image in images:
        stem, end, count = image.stem, ".jpg", 1
        while True:
            while len(os.fsencode(stem + end)) > LONGEST_NAME:
                stem = stem[:-1]
            if (path := out / (stem + end)) not in paths:
                break
            count += 1
            end = f"_{count}.jpg"
        paths[path] = None
    return list(paths)


def save_picture(picture: Image.Image, path: Path, quality: int = 95) -> Path:
    """Save as JPEG, whole, without subsampling colours; as PNG where that is the suffix or JPEG cannot be so large.

    Returns the path of the file, whose suffix becomes .png for what is too large. Raises `OutputError`.
    """
    if max(picture.size) > LARGEST_JPEG:
        path = path.with_suffix(".png")
    encoded = io.BytesIO()  # Pillow, writing to a file, takes no notice of a disk that is full
    picture.save(encoded, "PNG" if path.suffix.lower() == ".png" else "JPEG", quality=quality, subsampling=0)
    write_bytes(path, encoded.getvalue())
    return path
