"""Detections in a file: the way there and back, and files that are not such."""

import pytest
import torch
from safetensors.torch import save_file

from fasterfpn.engine.detections import Speed, load_detections, save_detections
from fasterfpn.errors import InputError

SPEED = Speed(0.125, "cpu", 2)


def detections_of(*counts):
    generator = torch.Generator().manual_seed(1)
    return [
        {
            "boxes": torch.rand(count, 4, generator=generator),
            "labels": torch.arange(count),
            "scores": torch.rand(count, generator=generator),
        }
        for count in counts
    ]


@pytest.mark.parametrize("counts", [(0,), (2, 0, 3), (0, 0, 1)])
def test_what_was_saved_is_loaded(tmp_path, counts):
    saved = detections_of(*counts)
    save_detections(tmp_path / "file", saved, SPEED)
    loaded, speed = load_detections(tmp_path / "file")
    assert speed == SPEED and len(loaded) == len(saved)
    assert all(torch.equal(one[name], other[name]) for one, other in zip(saved, loaded, strict=True) for name in one)


@pytest.mark.parametrize("wrong", [{"seconds_per_image": "soon"}, {"threads": "two"}, {"threads": None}])
def test_a_file_with_other_metadata_is_refused(tmp_path, wrong):
    said = {"seconds_per_image": "0.1", "device": "cpu", "threads": "2"} | wrong
    (one,) = detections_of(2)
    metadata = {name: value for name, value in said.items() if value is not None}
    save_file(one | {"counts": torch.tensor([2])}, tmp_path / "file", metadata)
    with pytest.raises(InputError, match="file: cannot be read"):
        load_detections(tmp_path / "file")


def test_a_file_from_before_versions_is_loaded(tmp_path):
    (result,) = detections_of(2)
    metadata = {"seconds_per_image": "0.125", "device": "cpu", "threads": "2"}
    save_file(result | {"counts": torch.tensor([2])}, tmp_path / "file", metadata)
    (loaded,), speed = load_detections(tmp_path / "file")
    assert speed == SPEED and all(torch.equal(loaded[name], result[name]) for name in result)


def test_a_torn_file_is_refused(tmp_path):
    save_detections(tmp_path / "file", detections_of(3), SPEED)
    (tmp_path / "file").write_bytes((tmp_path / "file").read_bytes()[:100])
    with pytest.raises(InputError, match="file: cannot be read"):
        load_detections(tmp_path / "file")
