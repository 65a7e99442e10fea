"""The cells of the chapters say what the chapters claim."""

import os
import sys

import cells
import pytest
import torch

LONG = {"00_run_it", "11_box_head", "12_training", "16_custom_operator"}  # they build networks, or a library
CHAPTERS = [
    pytest.param(
        chapter,
        marks=pytest.mark.slow if chapter.stem in LONG or chapter.parent.name == "answers" else (),
        id=str(chapter.relative_to(cells.DOCS)),
    )
    for chapter in cells.chapters()
]


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_cells_say_what_the_chapter_claims(chapter):
    with torch.random.fork_rng():
        found = cells.faults(chapter)
    assert not found, "\n".join(found)


def fault(tmp_path, *bodies):
    """What the runner says about a chapter with these cells, without the folder's name."""
    chapter = tmp_path / "chapter.md"
    chapter.write_text("# A chapter\n\n" + "\n".join(f"{cells.FENCE}\n{body}\n```\n" for body in bodies))
    return "\n".join(cells.faults(chapter)).replace(f"{tmp_path}/", "")


def test_what_is_printed_and_the_last_expression_are_compared(tmp_path):
    assert fault(tmp_path, 'print("a\\n\\nb")\n[1, 2]\n# -> a\n# ->\n# -> b\n# -> [1, 2]') == ""


@pytest.mark.parametrize("claim", ["", "\n# -> 4", "\n# -> 3\n# -> 3", "\n# -> 3 ", "\n# ->  3", "\n# -> 3."])
def test_any_other_claim_is_a_fault(tmp_path, claim):
    assert fault(tmp_path, "1 + 2\n# -> 3") == ""
    assert "got:\n    3" in fault(tmp_path, f"1 + 2{claim}")


def test_a_fault_names_chapter_line_wanted_and_got(tmp_path):
    said = fault(tmp_path, "x = 1", "y = 2\nx + y\n# -> 4")
    assert said == "chapter.md:8: line 1 of what the cell says is not what the chapter claims\n" + (
        "  wanted:\n    4\n  got:\n    3"
    )


def test_an_option_of_a_cell_is_not_code(tmp_path):
    assert fault(tmp_path, ":tags: [hide-input]\n1\n# -> 1") == ""


def test_a_cell_that_raises_is_a_fault_with_its_line(tmp_path):
    said = fault(tmp_path, "x = 1\ny = 1 / 0", "3")
    assert "chapter.md:4: the cell raises" in said
    assert "y = 1 / 0" in said and "ZeroDivisionError" in said


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("```{code-cell} ipython3\n1\n```\n", "a cell begins with"),
        ("```{code-cell} python\n1\n", "does not end"),
        ("```{code-cell} python\n# -> 1\n1\n```\n", "at the end of a cell"),
    ],
)
def test_what_is_no_cell_is_refused_with_its_line(tmp_path, text, message):
    chapter = tmp_path / "chapter.md"
    chapter.write_text("\n" + text)
    with pytest.raises(ValueError, match=rf"chapter\.md:2: .*{message}"):
        cells.faults(chapter)


def test_a_chapter_leaves_folder_and_module_path_as_they_were(tmp_path):
    before = os.getcwd(), sys.path[:]
    cell = "import os, sys\nsys.path.append('x')\nos.path.basename(os.getcwd())\n# -> 'docs'"
    assert fault(tmp_path, cell) == ""
    assert (os.getcwd(), sys.path) == before


def test_the_site_gets_a_chapter_without_claims():
    assert cells.without_claims("```\n1\n# -> 1\n```\n# -> 2\n") == "```\n1\n```\n"
