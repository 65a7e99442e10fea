"""`fasterfpn exercise`: the list, the start, the verdicts, and files that hang, crash or cheat."""

import csv
import json
import os
import re
import sys
from pathlib import Path

import pytest

from fasterfpn import __main__ as entry
from fasterfpn import exercise
from fasterfpn.cli import run
from fasterfpn.laws import process
from fasterfpn.laws.tasks import TASKS

ROOT = Path(__file__).resolve().parents[1]
ANSWER = (ROOT / "docs/answers/code/smooth_l1.py").read_text()
WRONG = (ROOT / "tests/laws/wrong/smooth_l1_no_abs.py").read_text()


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def command(capsys, *arguments):
    """Exit status, standard output and standard error."""
    try:
        run(exercise.main, "fasterfpn exercise", arguments)
        status = 0
    except SystemExit as stopped:
        status = stopped.code
    return status, *capsys.readouterr()


def check(tmp_path, text, name="smooth_l1"):
    file = tmp_path / "theirs.py"
    file.write_text(text)
    return process.judged(TASKS[name], file)


def test_the_list_names_every_task_and_the_next(capsys):
    status, out, _ = command(capsys)
    assert status == 0 and out == command(capsys, "list")[1]
    assert all(f" {name} " in out for name in TASKS)
    assert out.endswith("Next: fasterfpn exercise start iou\n")


@pytest.mark.filterwarnings("ignore:.*found in sys.modules")
def test_fasterfpn_exercise_is_the_command(capsys, monkeypatch):
    listed = command(capsys)[1]
    for arguments in ((), ("list",)):
        monkeypatch.setattr(sys, "argv", ["fasterfpn", "exercise", *arguments])
        entry.main()
        assert capsys.readouterr().out == listed


def test_start_writes_once(capsys):
    assert command(capsys, "start", "nms")[0] == 0
    file = Path("exercises/nms.py")
    assert "def nms(boxes, scores, iou_threshold)" in file.read_text()
    file.write_text("mine")
    status, _, error = command(capsys, "start", "nms")
    assert (status, error.count("\n"), file.read_text()) == (2, 1, "mine")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("start", "roi"), "no such exercise"),
        (("check", "iou"), "exercises/iou.py: no such file; fasterfpn exercise start iou"),
        (("grade", "nowhere", "--csv", "marks.csv"), "nowhere: no such folder"),
        (("grade", ".", "--csv", "marks.csv"), "no exercise in it"),
        (("grade", ".", "--csv", "no/marks.csv"), "no/marks.csv"),
    ],
)
def test_what_cannot_be_done_is_one_line(capsys, arguments, named):
    status, _, error = command(capsys, *arguments)
    assert (status, error.count("\n")) == (2, 1) and named in error


@pytest.mark.slow
def test_a_passed_exercise_gets_its_tick_until_it_is_changed(capsys):
    Path("exercises").mkdir()
    file = Path("exercises/smooth_l1.py")
    file.write_text(ANSWER)
    status, out, _ = command(capsys, "check", "smooth_l1")
    assert status == 0 and out.startswith("smooth_l1: all 5 laws hold.")
    assert "✓ smooth_l1" in command(capsys)[1]
    file.write_text(ANSWER + "\n")
    assert "… smooth_l1" in command(capsys)[1]


def test_a_counterexample_in_plain_words(capsys):
    Path("wrong.py").write_text(WRONG)
    status, out, _ = command(capsys, "check", "smooth_l1", "wrong.py")
    assert status == 1
    assert "Where |x| >= beta it is |x| - beta / 2." in out
    assert "smooth_l1(x=[-1], beta=1)\n  gave [0.5]" not in out  # that is right by chance
    assert "The law says: the result is [" in out and "docs/08_rpn_loss.md" in out


SURVIVED = {
    "an endless loop": ("def smooth_l1(x, beta=1.0):\n    while True:\n        pass\n", "one call ends within"),
    "exit": ("import os\ndef smooth_l1(x, beta=1.0):\n    os._exit(0)\n", "it returns a result"),
    "a crash": ("import ctypes\ndef smooth_l1(x, beta=1.0):\n    ctypes.string_at(0)\n", "it returns a result"),
    "sys.exit": ("import sys\ndef smooth_l1(x, beta=1.0):\n    sys.exit()\n", "it returns a result"),
    "an interrupt": ("def smooth_l1(x, beta=1.0):\n    raise KeyboardInterrupt\n", "it returns a result"),
    "memory": ("import torch\ndef smooth_l1(x, beta=1.0):\n    torch.zeros(1 << 40)\n", "it returns a result"),
    "nothing": ("def smooth_l1(x, beta=1.0):\n    pass\n", "a tensor of numbers, not None"),
    "in place": (ANSWER.replace("small =", "x += 0.5\n    small ="), "x is now"),
}


@pytest.mark.slow
@pytest.mark.parametrize("what", SURVIVED)
def test_what_goes_wrong_in_a_call_breaks_a_law(tmp_path, what):
    text, says = SURVIVED[what]
    verdict = check(tmp_path, text)
    assert verdict.problem is None and len(verdict.broken) == len(verdict.laws) == 5
    assert all(says in broken.says and broken.calls for broken in verdict.broken.values())


PROBLEMS = {
    "no function": ("x = 1\n", "it defines no function smooth_l1"),
    "syntax": ("def smooth_l1(x:\n", "does not load: SyntaxError: '(' was never closed (line 1)"),
    "an exception": ("\n1 / 0\n", "it does not load: ZeroDivisionError: division by zero (line 2)"),
    "exit": ("import os\nos._exit(3)\n", "it does not load: it ended the process"),
    "sys.exit": ("import sys\nsys.exit('bye')\n", "it does not load: SystemExit: bye (line 2)"),
    "input": ("n = input()\n", "it does not load: EOFError"),
    "ours": ("from fasterfpn.models.losses import smooth_l1\n", "it hands on fasterfpn.models.losses.smooth_l1"),
    "ours, called": (
        "from fasterfpn.models import losses\ndef smooth_l1(x, beta=1.0):\n    return losses.smooth_l1(x, beta)\n",
        "it calls fasterfpn.models.losses.smooth_l1",
    ),
    "torch's": (
        "import torch\ndef smooth_l1(x, beta=1.0):\n    try:\n        return torch.nn.SmoothL1Loss(reduction='none',"
        " beta=beta)(x, 0 * x)\n    except Exception:\n        return 0\n",
        "it calls torch.nn.functional.smooth_l1_loss",
    ),
    "a library": ("import torchvision\n", "it imports torchvision"),
}


@pytest.mark.slow
@pytest.mark.parametrize("what", PROBLEMS)
def test_what_cannot_be_judged_is_said(tmp_path, what):
    text, says = PROBLEMS[what]
    verdict = check(tmp_path, text)
    assert says in verdict.problem and not verdict.held and not verdict.broken


@pytest.mark.slow
@pytest.mark.parametrize(
    "first",
    [
        "print('x' * 10_000_000)",
        "import os, shutil; shutil.rmtree(os.getcwd())",
        "import shutil, pathlib; shutil.rmtree(pathlib.Path.home())",
        "import os; open('big', 'wb').write(b'0' * 1000); os.remove(__file__)",
        "import threading, time; threading.Thread(target=time.sleep, args=(1000,)).start()",
        "import subprocess; subprocess.Popen(['sleep', '1000'])",
    ],
)
def test_what_does_no_harm_is_no_fault(tmp_path, first):
    verdict = check(tmp_path, f"{first}\n{ANSWER}")
    assert verdict.problem is None and len(verdict.held) == 5
    assert (tmp_path / "theirs.py").is_file()


@pytest.mark.slow
def test_a_file_that_never_comes_back_ends_with_the_time(tmp_path, monkeypatch):
    monkeypatch.setattr(process, "SECONDS", 45.0)
    stubborn = "def smooth_l1(x, beta=1.0):\n    return sum(range(10**18))\n"  # no signal stops it
    verdict = check(tmp_path, stubborn)
    assert verdict.problem is None and len(verdict.broken) == 5
    assert verdict.broken[0].calls[0][1] == "did not come back"
    assert verdict.broken[4].says == "all laws are tried within 45 seconds"


@pytest.mark.slow
def test_a_class_is_graded(capsys, tmp_path):
    for learner, text in (("ada", ANSWER), ("bob", WRONG), ("cyd", "1 / 0\n")):
        (tmp_path / "class" / learner).mkdir(parents=True)
        (tmp_path / "class" / learner / "smooth_l1.py").write_text(text)
    (tmp_path / "more.py").write_text(
        "from fasterfpn.laws.law import law\n"
        "@law()\n"
        "def never_negative(smooth_l1):\n"
        "    'It is never negative.'\n"
        "    import torch\n"
        "    assert (smooth_l1(torch.tensor([-3.0])) >= 0).all(), 'no loss is negative'\n"
        "LAWS = {'smooth_l1': [never_negative]}\n"
    )
    status, out, _ = command(capsys, "grade", "class", "--csv", "marks.csv", "--laws", "more.py")
    assert status == 0
    rows = {row["learner"]: row for row in csv.DictReader(Path("marks.csv").read_text().splitlines())}
    marks = {learner: row["smooth_l1"] for learner, row in rows.items()}
    assert marks == {"ada": "6/6", "bob": "2/6", "cyd": "0/6"}
    assert rows["ada"]["iou"] == ""
    assert "bob: smooth_l1 2/6" in out


@pytest.mark.slow
def test_a_teachers_file_that_cannot_be_read_is_one_line(capsys, tmp_path):
    Path("mine.py").write_text(ANSWER)
    Path("laws.py").write_text("LAWS = 1\n")
    status, _, error = command(capsys, "check", "smooth_l1", "mine.py", "--laws", "laws.py")
    assert (status, error.count("\n")) == (2, 1) and "laws.py: cannot be used as laws" in error


def test_the_record_of_what_passed_survives_nonsense():
    Path("exercises").mkdir()
    exercise.PASSED.write_text("[")
    assert exercise._passed() == {}
    exercise.PASSED.write_text(json.dumps({"iou": "0"}))
    assert exercise._passed() == {"iou": "0"}
    os.remove(exercise.PASSED)


def test_the_exercises_that_the_pages_name_exist():
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "docs/answers").glob("*.md")]
    named = {name for page in pages for name in re.findall(r"exercise\s+(?:start|check)\s+\"?(\w+)", page.read_text())}
    assert len(named) > 5 and named - {"NAME"} <= set(TASKS)
