"""Files appear whole or not at all, a line is appended whole, and a folder belongs to one process at a time."""

import errno
import os
import signal
import subprocess
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fasterfpn import files
from fasterfpn.errors import InputError
from fasterfpn.files import OutputError, append_line, exclusive, lock_holder, whole_file, whole_folder, write_text

DEAD = 2**22 + 1  # above the largest number that Linux gives a process


def no_space(*arguments):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_file_that_cannot_be_finished_leaves_the_earlier_one(tmp_path, monkeypatch):
    path = tmp_path / "x.txt"
    write_text(path, "earlier")
    with pytest.raises(ZeroDivisionError), whole_file(path) as temporary:
        temporary.write_text("half")
        raise ZeroDivisionError
    monkeypatch.setattr(files, "_sync", no_space)
    with pytest.raises(OutputError, match=r"x\.txt: cannot be written \(No space left on device\)"):
        write_text(path, "later")
    assert path.read_text() == "earlier" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["folder", "x" * 300, "absent/x", "file/x"])
def test_what_the_file_system_refuses_is_one_line_that_names_the_file(tmp_path, name):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    for write in (write_text, append_line):
        with pytest.raises(OutputError) as refused:
            write(tmp_path / name, "text")
        assert str(tmp_path / name) in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize("length", [1, 255])
def test_every_name_that_the_file_system_takes_can_be_written(tmp_path, length):
    write_text(tmp_path / ("é" * (length // 2) + "x"), "text")
    assert [len(os.fsencode(path.name)) for path in tmp_path.iterdir()] == [length]


def test_a_folder_appears_once_it_is_full_and_never_over_another(tmp_path):
    with pytest.raises(ZeroDivisionError), whole_folder(tmp_path / "data") as temporary:
        (temporary / "x").touch()
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []
    with whole_folder(tmp_path / "data") as temporary:
        (temporary / "x").touch()
    with pytest.raises(InputError, match="not an empty folder"), whole_folder(tmp_path / "data"):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


@settings(max_examples=40)
@given(st.lists(st.text(st.characters(exclude_characters="\n\r", codec="utf-8"))))
def test_appended_lines_are_read_back(tmp_path_factory, lines):
    path = tmp_path_factory.mktemp("lines") / "x.txt"
    path.touch()
    for line in lines:
        append_line(path, line)
    assert path.read_bytes().decode().split("\n") == [*lines, ""]


def test_a_line_that_does_not_fit_is_taken_back(tmp_path, monkeypatch):
    path = tmp_path / "x.txt"
    write_text(path, "a\n")
    write = os.write
    monkeypatch.setattr(files.os, "write", lambda descriptor, content: write(descriptor, content[:3]))
    with pytest.raises(OutputError, match="no space"):
        append_line(path, "twelve bytes")
    assert path.read_text() == "a\n"


def test_a_device_without_space_is_one_line():
    with pytest.raises(OutputError, match="/dev/full: cannot be written"):
        append_line(files.Path("/dev/full"), "text")


HOLDING = (
    "import sys, time, pathlib; from fasterfpn.files import exclusive\nwith exclusive(pathlib.Path(sys.argv[1])): "
)


def held_by_another(folder):
    """A process that holds `folder` until it is ended."""
    process = subprocess.Popen([sys.executable, "-c", HOLDING + "time.sleep(60)", folder])
    deadline = time.monotonic() + 30
    while lock_holder(folder) is None and time.monotonic() < deadline:
        time.sleep(0.01)
    return process


def test_a_folder_is_one_process_s_until_it_ends_however_it_ends(tmp_path):
    process = held_by_another(tmp_path)
    assert lock_holder(tmp_path) == process.pid
    with pytest.raises(InputError, match=f"process {process.pid} is working in this folder"), exclusive(tmp_path):
        pass
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert (tmp_path / files.LOCK).exists() and lock_holder(tmp_path) is None
    with exclusive(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_the_lock_clears_away_what_killed_writers_left_and_nothing_else(tmp_path):
    running, dead = os.getppid(), DEAD
    for name in (f".x.txt.{dead}.partial", f".x.txt.{os.getpid()}.partial", f".y.{running}.partial", ".z.partial"):
        (tmp_path / name).touch()
    (tmp_path / f".folder.{dead}.partial").mkdir()
    (tmp_path / f".folder.{dead}.partial" / "x").touch()
    with exclusive(tmp_path):
        pass
    assert {path.name for path in tmp_path.iterdir()} == {f".y.{running}.partial", ".z.partial"}


def test_a_lock_in_an_absent_folder_is_one_line(tmp_path):
    with pytest.raises(OutputError, match="absent: cannot be written"), exclusive(tmp_path / "absent"):
        pass
