"""What every command line shares."""

import os

from fasterfpn.cli import run


def test_names_that_are_not_utf_8_are_printed(capsys):
    run(lambda: print(os.fsdecode(b"d\xe9faut.png")), "prog", [])
    assert capsys.readouterr().out == "d\\udce9faut.png\n"
