"""A run's folder is new, and one process's."""

import pytest

from fasterfpn.engine.run_folder import RunFolder
from fasterfpn.errors import InputError
from fasterfpn.files import OutputError


def test_no_two_runs_get_the_same_number(tmp_path, monkeypatch):
    runs = tmp_path / "runs"
    assert RunFolder.next_in(runs).path.name == "001"
    (runs / "041").mkdir()
    (runs / "old").mkdir()
    assert RunFolder.next_in(runs).path.name == "042"
    monkeypatch.setattr(type(runs), "iterdir", lambda path: iter([]))  # as another process sees it a moment earlier
    assert RunFolder.next_in(runs).path.name == "002"
    assert RunFolder.next_in(runs).path.name == "003"


def test_runs_that_cannot_be_made_are_one_line(tmp_path):
    (tmp_path / "file").touch()
    for parent in (tmp_path / "file", tmp_path / "file" / "runs", tmp_path / ("x" * 300)):
        with pytest.raises(OutputError, match="cannot be written"):
            RunFolder.next_in(parent)


@pytest.mark.parametrize("names", [["image.png"], ["config.json", "notes.txt"], ["losses.csv"], [".git"]])
def test_a_folder_that_holds_something_is_not_overwritten(tmp_path, names):
    for name in names:
        (tmp_path / name).touch()
    with pytest.raises(InputError, match="exists already"), RunFolder(tmp_path).begun():
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)


def test_a_run_that_saved_no_weights_may_be_started_anew(tmp_path):
    for name in ("config.json", "problems.txt", "losses.csv", "validation.csv", ".lock", ".x.4194305.partial"):
        (tmp_path / name).touch()
    RunFolder(tmp_path).check_free()
    with RunFolder(tmp_path).begun():
        assert (tmp_path / ".lock").exists() and not (tmp_path / ".x.4194305.partial").exists()
    RunFolder(tmp_path).best.touch()
    with pytest.raises(InputError, match="exists already"):
        RunFolder(tmp_path).check_free()


def test_an_absent_run_is_not_made_by_a_resume(tmp_path):
    with pytest.raises(InputError, match="no such run folder"), RunFolder(tmp_path / "run").held():
        pass
    assert list(tmp_path.iterdir()) == []
