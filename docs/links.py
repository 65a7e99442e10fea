"""What the pages link to: their links, their anchors, and the pages that are still to come."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
FENCED = re.compile(r"^(?P<fence>`{3,}|~{3,}).*?^(?P=fence)`*$", re.M | re.S)
CODE_OR_LINK = re.compile(
    r"(?P<code>`+[^`]*`+)|(?P<image>!?)\[(?P<text>(?:[^\[\]]|\[[^\[\]]*\])*)\]\((?P<target>[^)\s]+)\)"
)
NUMBERED = (
    *("00_run_it", "01_two_boxes", "02_average_precision", "03_images", "04_features", "05_anchors", "06_box_coding"),
    *("07_assignment", "08_rpn_loss", "09_proposals", "10_roi_pooling", "11_box_head", "12_training", "13_field_guide"),
    *("14_threshold", "15_large_images", "16_custom_operator", "17_cpu_kernels", "18_cuda_kernels"),
)
ELECTIVES = ("saliency", "experiment", "experiment_appendix", "where_next")
ANSWERS = (*(f"answers/{name[:2]}" for name in NUMBERED), *(f"answers/{name}" for name in ELECTIVES))
COMING: set[str] = set()  # pages below docs/ that may be linked before they are written


@dataclass(frozen=True)
class Link:
    """A link or an image of a page, with the number of its line."""

    text: str
    target: str
    line: int
    image: bool


def pages() -> list[Path]:
    """Return the README and the pages that are written by hand."""
    made = {"_build", "api"}
    return [ROOT / "README.md", *(page for page in sorted(DOCS.rglob("*.md")) if not made & set(page.parts))]


def prose(text: str) -> str:
    """Return a page with its fenced blocks blank, so that lines keep their numbers."""
    return FENCED.sub(lambda match: "\n" * match[0].count("\n"), text)


def links_of(text: str) -> list[Link]:
    """Return the links and images of a page; what stands in code is none."""
    text = prose(text)
    found = (match for match in CODE_OR_LINK.finditer(text) if match["target"])
    return [Link(m["text"], m["target"], text.count("\n", 0, m.start()) + 1, bool(m["image"])) for m in found]


def anchors_of(text: str) -> set[str]:
    """Return the anchors that a repository's web view gives to the headings of a page."""
    anchors: set[str] = set()
    for heading in re.findall(r"^#{1,6} +(.*?) *$", prose(text), re.M):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        anchor = repeated = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
        count = 0
        while repeated in anchors:
            count += 1
            repeated = f"{anchor}-{count}"
        anchors.add(repeated)
    return anchors


def is_coming(page: Path) -> bool:
    """Tell whether a page that does not exist is planned: links to it are kept, and followed once it is there."""
    if page.exists() or not page.is_relative_to(DOCS):
        return False
    return str(page.relative_to(DOCS)) in COMING


def fault(link: Link, page: Path) -> str | None:
    """Say what is wrong with a link of `page`, or return None. Addresses of other sites are not visited."""
    if re.match(r"[a-z]+:", link.target):
        return None
    file, _, anchor = link.target.partition("#")
    target = (page.parent / file).resolve() if file else page
    if is_coming(target):
        return None
    if not target.exists() or not target.is_relative_to(ROOT):
        return f"{file} does not exist"
    if anchor and target.suffix != ".md":
        return f"#{anchor}: anchors of files that are no Markdown go stale"
    if anchor and anchor not in anchors_of(target.read_text(encoding="utf-8")):
        return f"{file} has no heading #{anchor}"
    missing = [name for name in re.findall(r"\btest_\w+\b(?!\.py)", link.text) if not defines(target, name)]
    return f"{file} has no {missing[0]}" if missing else None


def defines(path: Path, test: str) -> bool:
    """Tell whether a file, or one below a folder, defines a test of that name."""
    files = path.rglob("test_*.py") if path.is_dir() else [path]
    return any(re.search(rf"^def {test}\(", file.read_text(encoding="utf-8"), re.M) for file in files)
