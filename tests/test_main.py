"""`fasterfpn COMMAND ...`: the list of commands, the one that is asked for, and nothing else imported."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest
from test_layers import COMMAND_LINES, MODULES, dotted, floor_of, part_of

from fasterfpn import __main__ as entry

PACKAGE = Path(entry.__file__).parent


def call(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["fasterfpn", *arguments])
    try:
        entry.main()
    except SystemExit as stopped:
        return stopped.code
    return 0


def test_the_list_has_every_command_and_a_line_for_each(monkeypatch, capsys):
    files = {part_of(dotted(file)) for file in MODULES if floor_of(part_of(dotted(file))) == COMMAND_LINES}
    assert set(entry.COMMANDS) == files - {"__main__"}
    printed = []
    for arguments in ((), ("--help",), ("-h",)):
        assert call(monkeypatch, *arguments) == 0
        printed.append(capsys.readouterr().out)
    assert len(set(printed)) == 1
    assert all(f"\n  {name}  " in printed[0] for name in entry.COMMANDS)
    assert max(map(len, printed[0].splitlines())) <= 80


@pytest.mark.parametrize(("name", "nearest"), [("trian", "train"), ("evalute", "evaluate"), ("x", "doctor")])
def test_an_unknown_command_is_one_line_with_the_nearest(monkeypatch, capsys, name, nearest):
    assert call(monkeypatch, name) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and nearest in error


def test_the_list_imports_nothing_slow():
    script = (
        "import sys, fasterfpn.__main__ as m; sys.argv = ['fasterfpn']; m.main(); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)


def test_a_command_gets_its_own_arguments():
    command = [sys.executable, "-m", "fasterfpn", "predict", "/nowhere", "x.png", "--device", "cpu"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "/nowhere: no such run folder" in done.stderr


@pytest.mark.parametrize(("output", "status", "lines"), [("/dev/full", 2, 1), ("closed pipe", 141, 0)])
@pytest.mark.slow
def test_an_output_that_takes_no_more_is_no_traceback(output, status, lines):
    script = "from fasterfpn.cli import run; run(lambda: print('x' * 100_000), 'prog', [])"
    if output == "closed pipe":
        reader, writer = os.pipe()
        os.close(reader)
    else:
        writer = os.open(output, os.O_WRONLY)
    done = subprocess.run([sys.executable, "-c", script], stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    assert (done.returncode, done.stderr.count("\n")) == (status, lines), done.stderr


def test_only_commands_name_flags():
    """Advice with flags is for those who type them; whoever calls a function from Python has none."""
    rooms = [PACKAGE / room for room in ("geometry", "ops", "models", "data", "engine", "study")]
    messages = [
        (file.name, node.value)
        for file in MODULES
        if any(room in file.parents for room in rooms)
        for raised in ast.walk(ast.parse(file.read_text()))
        if isinstance(raised, ast.Raise | ast.JoinedStr)
        for node in ast.walk(raised)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and "--" in node.value
    ]
    assert messages == []
