"""The command `synthesize`."""

import pytest
from PIL import Image

from fasterfpn.cli import run
from fasterfpn.synthesize import main


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--images", "2"], "--out DIR"),
        ([], "--out DIR"),
        (["--out", "out"], "--images N"),
        (["--out", "out", "--images", "0"], "images is 0"),
        (["--out", "out", "--images", "2", "--deck", "balanced"], "difficulty real"),
        (["--out", "out", "--images", "2", "--seed", "-1"], "seed is -1"),
        (["--out", "out", "--images", "2", "--workers", "0"], "--workers 0"),
        (["--out", "out", "--images", "2", "--size", "320"], "WIDTHxHEIGHT"),
        (["--out", "out", "--images", "2", "--size", "320x-240"], "WIDTHxHEIGHT"),
        (["--out", "out", "--images", "2", "--size", "16x16"], "size 16x16"),
        (["--out", "out", "--images", "2", "--size", "99999x100"], "size 99999x100"),
        (["--contact-sheet", "sheet.tiff"], "ends in .jpg or .png"),
        (["--contact-sheet", "absent/sheet.png"], "cannot be written (No such file or directory)"),
        (["--contact-sheet", "sheet.png", "--seed", "-1"], "seed is -1"),
        (["--contact-sheet", "sheet.png", "--images", "2"], "--out DIR"),
    ],
)
def test_what_cannot_be_made_is_refused_in_one_line_and_leaves_nothing(
    tmp_path, monkeypatch, capsys, arguments, message
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        run(main, "synthesize", arguments)
    error = capsys.readouterr().err.strip()
    assert stop.value.code == 2 and message in error and "\n" not in error
    assert not list(tmp_path.iterdir())


def test_images_and_a_contact_sheet_are_written(tmp_path, capsys):
    main(3, tmp_path / "out", difficulty="real", size="128x96", contact_sheet=tmp_path / "sheet.jpg")
    assert len(list(tmp_path.glob("out/**/*.json"))) == 3
    assert Image.open(tmp_path / "sheet.jpg").size == (2096, 716)
    main(3, tmp_path / "easy", label_noise=True)
    assert len(list(tmp_path.glob("easy/Annotations/*.xml"))) == 3
    assert "3 images of 160x120, easy, seed 0" in capsys.readouterr().out
