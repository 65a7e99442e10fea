"""The dataset: what an item holds, what is cached, and what is the caller's."""

import pytest
import torch

from fasterfpn.data import dataset as dataset_module
from fasterfpn.data.dataset import DetectionDataset, Sample, all_targets, check_images
from fasterfpn.data.images import read_image
from fasterfpn.data.refusals import refuse
from fasterfpn.errors import InputError


@pytest.fixture
def samples(make, tmp_path):
    result = []
    for k in range(3):
        make.image(tmp_path / f"i{k}.png", (10 + k, 20), seed=k)
        boxes, labels = torch.tensor([[1.0, 2, 5, 6]]), torch.tensor([k + 1])
        result.append(Sample(tmp_path / f"i{k}.png", boxes, labels, torch.tensor([False]), (10 + k, 20)))
    return result


@pytest.fixture
def reads(monkeypatch):
    """The names of the files decoded so far."""
    names = []
    monkeypatch.setattr(dataset_module, "read_image", lambda path: names.append(path.name) or read_image(path))
    return names


def test_an_item(samples):
    dataset = DetectionDataset(samples, ["a", "b", "c"])
    image, target = dataset[1]
    assert image.dtype == torch.float32 and torch.equal(image, read_image(samples[1].image) / 255)
    assert {key: value.tolist() for key, value in target.items()} == {
        "boxes": [[1, 2, 5, 6]],
        "labels": [2],
        "difficult": [False],
    }
    assert dataset.size(1) == (11, 20) and dataset.image_name(1) == "i1.png" and len(dataset) == 3
    assert torch.equal(dataset[-1][0], dataset[2][0])
    with pytest.raises(IndexError):
        dataset[3]


def test_changing_an_item_changes_no_other_visit(samples):
    dataset = DetectionDataset(samples, "abc")
    image, target = dataset[0]
    before = image.clone()
    image.zero_()
    target["boxes"].zero_()
    assert torch.equal(dataset[0][0], before) and dataset[0][1]["boxes"].tolist() == [[1, 2, 5, 6]]


def test_images_are_decoded_once_while_they_fit(samples, reads):
    dataset = DetectionDataset(samples, "abc", cache_bytes=3 * 20 * (10 + 11))  # the first two, to the byte
    for _ in range(3):
        for index in range(3):
            dataset[index]
    assert reads == ["i0.png", "i1.png", "i2.png", "i2.png", "i2.png"]


def test_an_image_that_changed_or_vanished_is_refused(make, samples):
    make.image(samples[0].image, (50, 50))
    samples[1].image.unlink()
    dataset = DetectionDataset(samples, "abc")
    for index, said in enumerate((r"i0\.png: its size changed", r"i1\.png: no such image")):
        with pytest.raises(InputError, match=said):
            dataset[index]


def test_targets_come_without_decoding(samples, reads):
    dataset = DetectionDataset(samples, "abc")
    targets = all_targets(dataset)
    assert [target["labels"].tolist() for target in targets] == [[1], [2], [3]] and reads == []
    targets[0]["boxes"].zero_()
    assert dataset.targets(0)["boxes"].tolist() == dataset[0][1]["boxes"].tolist() == [[1, 2, 5, 6]]


def test_the_check_names_every_image_that_does_not_decode(samples):
    dataset = DetectionDataset(samples, "abc")
    for index in (0, 2):
        content = samples[index].image.read_bytes()
        samples[index].image.write_bytes(content[: len(content) // 2])
    problems = check_images(dataset)
    assert [line.split(":")[0] for line in problems] == [str(samples[0].image), str(samples[2].image)]
    with pytest.raises(InputError, match="2 problems") as caught:
        refuse(problems)
    assert all(line in str(caught.value) for line in problems)
    assert refuse([]) is None
