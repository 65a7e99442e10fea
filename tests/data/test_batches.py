"""The sequence of training batches: complete, grouped, seeded, and the same for any number of workers."""

import itertools
from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fasterfpn.data.batches import batches_per_epoch, training_batches
from fasterfpn.data.dataset import DetectionDataset, Sample
from fasterfpn.data.transforms import flip
from fasterfpn.errors import InputError


class Numbered:
    """Images that hold their own index, with one box and sizes as given: a source without files."""

    classes = ("thing",)

    def __init__(self, sizes):
        self.sizes = sizes

    def __len__(self):
        return len(self.sizes)

    def __getitem__(self, index):
        height, width = self.sizes[index]
        image = torch.arange(height * width).float().reshape(1, height, width).repeat(3, 1, 1) + 1000 * index
        return image, {"boxes": torch.tensor([[0.0, 0, 1, 1]]), "labels": torch.tensor([1])}

    def targets(self, index):
        return self[index][1]

    def size(self, index):
        return self.sizes[index]

    def image_name(self, index):
        return str(index)


sizes = st.lists(st.tuples(st.integers(1, 3), st.integers(1, 3)), min_size=1, max_size=12)


def epochs(dataset, batch_size, count, seed=0, **options):
    batches = training_batches(dataset, batch_size, torch.Generator().manual_seed(seed), **options)
    length = batches_per_epoch(dataset, batch_size)
    return [list(itertools.islice(batches, length)) for _ in range(count)]


def flat(batches):
    """All tensors of the batches, in order."""
    return [t for batch in batches for t in [*batch.images, *(v for target in batch.targets for v in target.values())]]


@given(sizes, st.integers(1, 5), st.integers(0, 2**63 - 1))
def test_every_epoch_visits_each_image_once_in_grouped_batches(sizes, batch_size, seed):
    dataset = Numbered(sizes)
    for epoch in epochs(dataset, batch_size, 2, seed):
        assert sorted(int(name) for batch in epoch for name in batch.names) == list(range(len(sizes)))
        for batch in epoch:
            assert 1 <= len(batch.images) == len(batch.targets) == len(batch.names) <= batch_size
            assert len({height > width for height, width in (dataset.size(int(name)) for name in batch.names)}) == 1


@given(sizes, st.integers(0, 2**63 - 1))
def test_images_and_boxes_are_flipped_together(sizes, seed):
    dataset = Numbered(sizes)
    (epoch,) = epochs(dataset, 2, 1, seed)
    for batch in epoch:
        for image, target, name in zip(batch.images, batch.targets, batch.names, strict=True):
            original, boxes = dataset[int(name)][0], dataset[int(name)][1]["boxes"]
            results = [flip(original, boxes, h, v) for h in (False, True) for v in (False, True)]
            assert any(torch.equal(image, i) and torch.equal(target["boxes"], b) for i, b in results)


def test_the_four_flips_are_equally_likely():
    dataset = Numbered([(2, 3)] * 20)
    counts = Counter(
        image[0].sub(1000 * int(name)).flatten()[0].item()  # which corner came first
        for epoch in epochs(dataset, 4, 200)
        for batch in epoch
        for image, name in zip(batch.images, batch.names, strict=True)
    )
    assert set(counts) == {0, 2, 3, 5}
    assert all(abs(count - 1000) < 5 * (4000 * 0.25 * 0.75) ** 0.5 for count in counts.values())


def test_without_flips_images_come_as_they_are():
    dataset = Numbered([(2, 3)] * 20)
    for batch in epochs(dataset, 4, 1, flips=False)[0]:
        for image, name in zip(batch.images, batch.names, strict=True):
            assert torch.equal(image, dataset[int(name)][0])


def test_orders_differ_between_epochs_and_seeds():
    dataset = Numbered([(2, 3)] * 20)
    first, second = ([batch.names for batch in epoch] for epoch in epochs(dataset, 4, 2))
    (other,) = ([batch.names for batch in epoch] for epoch in epochs(dataset, 4, 1, seed=1))
    assert first != second and first != other


def test_one_number_is_drawn_from_the_callers_generator_and_none_from_the_global_one():
    dataset, state = Numbered([(2, 3)] * 8), torch.get_rng_state()
    generator, twin = torch.Generator().manual_seed(7), torch.Generator().manual_seed(7)
    batches = training_batches(dataset, 2, generator)
    torch.randint(2**63 - 1, (), generator=twin)
    next(batches)
    assert torch.equal(generator.get_state(), twin.get_state())
    assert torch.equal(torch.get_rng_state(), state)


@pytest.fixture
def files(make, tmp_path):
    samples = []
    for k, size in enumerate([(20, 30), (30, 20), (20, 30), (20, 20), (31, 20)]):
        make.image(tmp_path / f"i{k}.png", size, seed=k)
        boxes = torch.tensor([[1.0, 2, 9, 12 + k]])
        samples.append(Sample(tmp_path / f"i{k}.png", boxes, torch.tensor([1]), torch.tensor([False]), size))
    return DetectionDataset(samples, ["dent"])


@given(sizes, st.integers(1, 3), st.integers(0, 9), st.integers(0, 9))
def test_skipping_leaves_out_the_first_batches_without_decoding_them(sizes, batch_size, skip, seed):
    decoded = []

    class Watched(Numbered):
        def __getitem__(self, index):
            decoded.append(index)
            return super().__getitem__(index)

    def batches(**options):
        return training_batches(Watched(sizes), batch_size, torch.Generator().manual_seed(seed), **options)

    whole = list(itertools.islice(batches(), skip + 3))
    decoded.clear()
    rest = list(itertools.islice(batches(skip=skip), 3))
    assert len(decoded) == sum(len(batch.images) for batch in rest)
    for expected, batch in zip(whole[skip:], rest, strict=True):
        assert batch.names == expected.names
        assert all(map(torch.equal, batch.images, expected.images))


@pytest.mark.parametrize("workers", [1, 2])
def test_the_batches_do_not_depend_on_the_workers(files, workers):
    alone, beside = (epochs(files, 2, 3, workers=count) for count in (0, workers))
    for one, other in zip(itertools.chain(*alone), itertools.chain(*beside), strict=True):
        assert one.names == other.names
        assert all(torch.equal(a, b) for a, b in zip(flat([one]), flat([other]), strict=True))


@pytest.mark.parametrize("workers", [0, 1])
def test_a_broken_image_is_refused_in_one_line_by_any_process(files, workers):
    path = files.samples[3].image
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(InputError) as caught:
        epochs(files, 2, 1, workers=workers)
    assert str(caught.value).startswith(f"{path}: does not decode") and "\n" not in str(caught.value)


def test_impossible_arguments_are_refused():
    with pytest.raises(ValueError, match="batch_size"):
        training_batches(Numbered([(2, 3)]), 0, torch.Generator())
    with pytest.raises(ValueError, match="dataset"):
        training_batches(Numbered([]), 1, torch.Generator())
