"""Built-in data: what the boxes promise about the pixels, that a seed fixes both, and that colour does not tell."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fasterfpn.data.formats.voc import boxes_in_image, read_folder
from fasterfpn.data.images import read_image
from fasterfpn.data.synthetic import easy as synthetic
from fasterfpn.data.synthetic.easy import SyntheticDataset, built_in_splits, synthesize_profile, write_voc
from fasterfpn.data.synthetic.classes import ALUMINIUM_CLASSES, KINDS, draw_defect
from fasterfpn.data.synthetic.easy_scene import Profile
from fasterfpn.errors import InputError
from fasterfpn.synthesize import main

seeds = st.integers(0, 2**40)
sides = st.integers(synthetic.SMALLEST_SIDE, 260)


def test_the_classes_are_the_papers_in_its_order():
    assert ALUMINIUM_CLASSES == (
        "non-conductive", "scratch", "corner leak", "orange peel", "leakage",
        "jet", "paint bubble", "crater", "parti-color", "dirty point",
    )  # fmt: skip


@given(seeds, st.integers(0, 10**6), sides, sides)
def test_annotations_fit_their_image(seed, index, height, width):
    pixels, boxes, labels = synthesize_profile(seed, index, (height, width))
    assert pixels.shape == (height, width, 3) and pixels.dtype == np.uint8
    assert boxes.dtype == np.float32 and labels.dtype == np.int64 and 1 <= len(boxes) == len(labels) <= 3
    assert labels.min() >= 1 and labels.max() <= 10
    assert (boxes == boxes.round()).all(), "the boxes are at whole pixels, so that VOC keeps them"
    assert (boxes[:, :2] >= 0).all() and (boxes[:, 2:] <= (width, height)).all()
    assert (boxes[:, 2:] - boxes[:, :2] >= 2).all(), "VOC readers take a box of one pixel for degenerate"
    assert (boxes[1:, 0] >= boxes[:-1, 2]).all(), "defects lie side by side"


@given(seeds, st.sampled_from(sorted(KINDS)), st.floats(-0.04, 0.04), st.sampled_from([0.3, 0.5, 1, 2.4]))
def test_box_is_the_tight_bound_of_what_is_drawn(seed, kind, slope, unit):
    height, width = round(240 * unit), round(320 * unit)
    canvas = np.full((height, width, 3), 0.5, np.float32)
    profile = Profile(60 * unit, 120 * unit, slope, width / 2, np.full(3, 0.5, np.float32))
    box = draw_defect(np.random.default_rng(seed), canvas, profile, kind, (0.1 * width, 0.8 * width))
    change = np.abs(canvas - 0.5).max(2)
    seen = change > 0.25 * change.max()
    columns, rows = np.flatnonzero(seen.any(0)), np.flatnonzero(seen.any(1))
    assert np.abs(np.array(box) - (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)).max() <= 1
    x1, y1, x2, y2 = box
    assert 0.1 * width - 1 <= x1 and x2 <= 0.8 * width + 1, "within the columns it was given"
    ends = np.array([x1, x2])
    assert profile.across(ends, y1).max() >= -2 and profile.across(ends, y2).min() <= profile.height + 2
    if unit >= 1:
        assert min(x2 - x1, y2 - y1) >= 7 * unit and max(x2 - x1, y2 - y1) <= 7 * min(x2 - x1, y2 - y1)


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_same_images_for_any_number_of_processes(workers):
    dataset = SyntheticDataset(30, 7, (96, 128), first=5, workers=workers, progress=False)
    assert len(dataset) == 30 and dataset.classes == ALUMINIUM_CLASSES
    for i in (0, 11, 29):
        pixels, boxes, labels = synthesize_profile(7, 5 + i, (96, 128))
        image, target = dataset[i]
        assert image.dtype == torch.float32
        assert (image * 255).round().equal(torch.tensor(pixels).permute(2, 0, 1).float())
        assert target["boxes"].equal(torch.tensor(boxes)) and target["labels"].equal(torch.tensor(labels))
        assert target["difficult"].dtype == torch.bool and len(target["difficult"]) == len(labels)
        assert dataset.size(i) == (96, 128) and dataset.image_name(i) == f"synthetic-{5 + i:06d}"
    dataset[0][1]["boxes"].zero_()
    assert dataset[0][1]["boxes"].any(), "what a caller does to a target stays with the caller"
    with pytest.raises(IndexError):
        dataset[30]


def test_seed_and_index_both_matter():
    images = [synthesize_profile(seed, index, (64, 64))[0].tobytes() for seed in range(4) for index in range(4)]
    assert len(set(images)) == 16


def test_kinds_are_equally_frequent_and_mixed():
    every = [synthesize_profile(3, i, (64, 64))[2] for i in range(800)]
    share = np.bincount(np.concatenate(every), minlength=11)[1:] / sum(map(len, every))
    assert share.min() > 0.06 and share.max() < 0.14, share  # standard deviation 0.01
    several = [labels for labels in every if len(labels) > 1]
    alike = np.mean([len(set(labels)) == 1 for labels in several])
    assert 0.3 < alike < 0.6, "some images show one kind several times, others several kinds"


def mean_colours(seed: int, images: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean RGB (D, 3) of the box of every defect, and labels (D,)."""
    colours, labels = [], []
    for image, target in SyntheticDataset(images, seed, (120, 160), progress=False):
        for (x1, y1, x2, y2), label in zip(target["boxes"].int().tolist(), target["labels"].tolist(), strict=True):
            colours.append(image[:, y1:y2, x1:x2].mean((1, 2)))
            labels.append(label)
    return torch.stack(colours), torch.tensor(labels)


def test_mean_colour_does_not_tell_the_kind():
    known, known_labels = mean_colours(1, 500)
    new, new_labels = mean_colours(2, 200)
    means = torch.stack([known[known_labels == label].mean(0) for label in range(1, 11)])
    nearest_mean = torch.cdist(new, means).argmin(1) + 1
    neighbours = known_labels[torch.cdist(new, known).topk(15, largest=False).indices]
    accuracy = {
        "nearest class mean": (nearest_mean == new_labels).float().mean().item(),
        "15 nearest neighbours": (neighbours.mode(1).values == new_labels).float().mean().item(),
    }
    assert max(accuracy.values()) < 0.30, accuracy


def test_voc_folder_reads_back_the_same(tmp_path):
    write_voc(tmp_path / "new" / "profiles", 20, 9, (96, 128), workers=2, progress=False)
    items = read_folder(tmp_path / "new" / "profiles")
    assert [item.key for item in items] == [f"synthetic-{i:06d}" for i in range(20)]
    for i, item in enumerate(items):
        _, boxes, labels = synthesize_profile(9, i, (96, 128))
        objects, problems, _ = boxes_in_image(item.annotation, (96, 128))
        assert not problems and item.annotation.size == (96, 128)
        assert np.array_equal(np.array([found.box for found in objects], np.float32), boxes)
        assert [found.name for found in objects] == [ALUMINIUM_CLASSES[label - 1] for label in labels]
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["profiles"], "no temporary folder is left"


def test_pictures_are_written_faithfully(tmp_path):
    write_voc(tmp_path / "out", 1, 4, (240, 320), progress=False)
    pixels = synthesize_profile(4, 0, (240, 320))[0]
    read = read_image(tmp_path / "out" / "JPEGImages" / "synthetic-000000.jpg").permute(1, 2, 0).numpy()
    assert np.abs(read.astype(int) - pixels).mean() < 3


def test_an_interrupted_write_leaves_nothing(tmp_path, monkeypatch):
    def fail(folder, seed, size, difficulty, index):
        (folder / "JPEGImages" / "half.jpg").touch()
        raise KeyboardInterrupt

    monkeypatch.setattr(synthetic, "_write_one", fail)
    with pytest.raises(KeyboardInterrupt):
        write_voc(tmp_path / "out", 2, 0, progress=False)
    assert not list(tmp_path.iterdir())


def test_a_folder_in_use_is_left_alone(tmp_path):
    (tmp_path / "precious.txt").write_text("mine")
    with pytest.raises(InputError, match="not an empty folder"):
        write_voc(tmp_path, 2, 0, progress=False)
    with pytest.raises(InputError, match="cannot be written"):
        write_voc(tmp_path / "precious.txt" / "out", 2, 0, progress=False)
    assert [path.name for path in tmp_path.iterdir()] == ["precious.txt"]


@pytest.mark.parametrize(
    "wrong", [{"difficulty": "hard"}, {"seed": -1}, {"index": -1}, {"size": (63, 320)}, {"size": (320, 0)}]
)
def test_impossible_requests_are_refused(wrong):
    with pytest.raises(InputError):
        synthesize_profile(**{"seed": 0, "index": 0, "size": (96, 128)} | wrong)


@pytest.mark.parametrize("wrong", [{"size": "320"}, {"size": "320x-240"}, {"size": "16x16"}, {"images": 0}])
def test_command_line_refuses_and_leaves_nothing(tmp_path, wrong):
    with pytest.raises(InputError):
        main(**{"images": 2, "out": tmp_path / "out"} | wrong)
    assert not list(tmp_path.iterdir())


def test_built_in_parts_are_disjoint(monkeypatch):
    monkeypatch.setattr(synthetic, "BUILT_IN_IMAGES", {"train": 3, "val": 2, "test": 2})
    splits = built_in_splits(5)
    names = [part.image_name(i) for part in (splits.train, splits.val, splits.test) for i in range(len(part))]
    assert names == [f"synthetic-{i:06d}" for i in range(7)]
    assert splits.test.size(0) == synthetic.BUILT_IN_SIZE and splits.named_test
