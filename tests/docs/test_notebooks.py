"""A chapter's notebook holds its text and its cells, in order, and not what the cells say."""

import cells
import pytest
from cells import DOCS, cells_of, chapters, without_claims
from notebooks import notebook

CHAPTERS = [chapter for chapter in chapters() if chapter.parent == DOCS]


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.name)
def test_text_and_cells_are_the_chapter_s(chapter):
    first, *rest = notebook(chapter.read_text(encoding="utf-8"), "setup")["cells"]
    assert (first["cell_type"], first["source"]) == ("code", "setup")
    code = [cell["source"] for cell in rest if cell["cell_type"] == "code"]
    assert code == [cell.code.strip() for cell in cells_of(chapter)]
    text = "\n".join(cell["source"] for cell in rest if cell["cell_type"] == "markdown")
    assert cells.FENCE not in text and "# ->" not in text and "<!--" not in text
    last = without_claims(chapter.read_text(encoding="utf-8")).strip().splitlines()[-1]
    assert rest[0]["source"].startswith("# ") and last in (rest[-1]["source"] + "\n```").splitlines()


def test_a_notebook_has_what_the_format_asks_for():
    made = notebook(f"# 1\n\n{cells.FENCE}\n:tags: [hide-input]\n1\n# -> 1\n```\n\nend\n", "setup")
    assert [cell["source"] for cell in made["cells"]] == ["setup", "# 1", "1", "end"]
    assert all({"id", "cell_type", "metadata", "source"} <= cell.keys() for cell in made["cells"])
    assert [cell["cell_type"] for cell in made["cells"] if "outputs" in cell] == ["code", "code"]
