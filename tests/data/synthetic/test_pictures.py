"""Pictures of both settings: they stay what they are, a seed fixes them, and folders hold the same ones."""

import json
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from opening import open_data
from PIL import Image

from fasterfpn.data.formats.tianchi import CHINESE_NAMES
from fasterfpn.data.synthetic import dataset as dataset_module
from fasterfpn.data.synthetic import folders
from fasterfpn.data.synthetic.classes import ALUMINIUM_CLASSES
from fasterfpn.data.synthetic.dataset import SyntheticProfiles, built_in_splits
from fasterfpn.data.synthetic.folders import write_images
from fasterfpn.data.synthetic.request import GENERATOR_VERSION, Request
from fasterfpn.errors import InputError

GOLDEN = Path(__file__).with_name("golden")  # DIFFICULTY-INDEX.jpg: of seed 3, one that shows each kind alone or first
GOLDEN_SIZE = (120, 160)
DIFFICULTIES = pytest.mark.parametrize("difficulty", ["easy", "real"])


def pixels(jpeg: bytes) -> np.ndarray:
    return np.array(Image.open(BytesIO(jpeg))).astype(int)


@pytest.mark.parametrize("file", sorted(GOLDEN.iterdir()), ids=lambda file: file.stem)
def test_the_pictures_are_those_of_the_version(file):
    """Where a picture was meant to change: raise GENERATOR_VERSION, and write these files anew."""
    difficulty, index = file.stem.split("-")
    jpeg, _, _ = Request(3, difficulty, GOLDEN_SIZE).photograph(int(index))
    change = np.abs(pixels(jpeg) - pixels(file.read_bytes()))
    assert GENERATOR_VERSION == "1"
    assert np.quantile(change, 0.999) <= 2, "another rounding may flip a coefficient of the JPEG here and there"


@DIFFICULTIES
def test_seed_and_index_both_matter(difficulty):
    made = {Request(seed, difficulty, (64, 64)).photograph(index)[0] for seed in (0, 1) for index in (0, 1)}
    assert len(made) == 4


@DIFFICULTIES
def test_the_picture_is_an_ordinary_jpeg_of_the_size_asked_for(difficulty):
    image = Image.open(BytesIO(Request(0, difficulty, (130, 170)).photograph(0)[0]))
    assert image.format == "JPEG" and image.mode == "RGB" and image.size == (170, 130)


@DIFFICULTIES
def test_label_noise_leaves_the_pictures(difficulty):
    clean, noisy = (
        [Request(0, difficulty, (64, 64), label_noise=noise).photograph(i) for i in range(12)]
        for noise in (False, True)
    )
    assert [image[0] for image in clean] == [image[0] for image in noisy]
    assert any(not np.array_equal(before[1], after[1]) for before, after in zip(clean, noisy, strict=True))


@pytest.mark.parametrize(("difficulty", "workers"), [("easy", 2), ("real", 1)])
def test_data_set_and_folder_hold_the_same_for_any_number_of_processes(tmp_path, difficulty, workers):
    request = Request(7, difficulty, (64, 64))
    write_images(tmp_path / "new" / "profiles", 18, request, workers=workers, progress=False)
    files = sorted((tmp_path / "new").rglob("*.jpg"), key=lambda path: path.stem.strip("合成样本")[-6:])
    dataset = SyntheticProfiles(16, request, first=2, workers=3 - workers, progress=False)
    assert len(files) == 18 and len(dataset) == 16 and dataset.classes == ALUMINIUM_CLASSES
    for index in range(16):
        jpeg, boxes, labels = request.photograph(index + 2)
        assert files[index + 2].read_bytes() == jpeg
        image, target = dataset[index]
        assert np.array_equal((image * 255).round().byte().permute(1, 2, 0).numpy(), pixels(jpeg))
        assert np.array_equal(target["boxes"], boxes) and np.array_equal(target["labels"], labels)
        assert not target["difficult"].any() and len(target["difficult"]) == len(labels)
        assert dataset.size(index) == (64, 64) and dataset.image_name(index) == f"synthetic-{index + 2:06d}"
    dataset[0][1]["boxes"].zero_()
    assert dataset[0][1]["boxes"].any(), "what a caller does to a target stays with the caller"
    with pytest.raises(IndexError):
        dataset[16]
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["profiles"], "no temporary folder is left"


@DIFFICULTIES
def test_a_folder_reads_back_the_same(tmp_path, difficulty):
    request = Request(9, difficulty, (96, 128))
    write_images(tmp_path / "out", 20, request, workers=1, progress=False)
    read = open_data(str(tmp_path / "out"), classes=ALUMINIUM_CLASSES, test_fraction=0, validation_fraction=0).train
    expected = {boxes.tobytes(): labels for _, boxes, labels in map(request.photograph, range(20))}
    assert len(read) == 20
    for index in range(20):
        _, target = read[index]
        labels = expected.pop(np.asarray(target["boxes"], np.float32).tobytes())
        assert np.array_equal(target["labels"], labels)


def test_real_files_are_laid_out_as_the_originals(tmp_path):
    request = Request(3, "real", (64, 96))
    write_images(tmp_path / "out", 20, request, workers=1, progress=False)
    for index in range(20):
        _, _, labels = request.photograph(index)
        (path,) = tmp_path.glob(f"out/**/*{index:06d}合成样本.json")
        kinds = [CHINESE_NAMES[kind] for nth, kind in enumerate(ALUMINIUM_CLASSES, 1) if nth in labels]
        assert path.name.startswith(",".join(kinds))
        folder = f"单瑕疵图片/{kinds[0]}" if len(kinds) == 1 else "多瑕疵图片"
        assert path.parent == tmp_path / "out" / folder and path.with_suffix(".jpg").exists()
        shapes = json.loads(path.read_text(encoding="utf-8"))["shapes"]
        assert [shape["label"] for shape in shapes] == [CHINESE_NAMES[ALUMINIUM_CLASSES[label - 1]] for label in labels]


def test_an_interrupted_write_leaves_nothing(tmp_path, monkeypatch):
    def fail(folder, request, index):
        (folder / "half.jpg").touch()
        raise KeyboardInterrupt

    monkeypatch.setattr(folders, "_write_voc", fail)
    with pytest.raises(KeyboardInterrupt):
        write_images(tmp_path / "out", 2, Request(0), progress=False)
    assert not list(tmp_path.iterdir())


def test_a_folder_in_use_is_left_alone(tmp_path):
    (tmp_path / "precious.txt").write_text("mine")
    with pytest.raises(InputError, match="not an empty folder"):
        write_images(tmp_path, 2, Request(0), progress=False)
    with pytest.raises(InputError, match="cannot be written"):
        write_images(tmp_path / "precious.txt" / "out", 2, Request(0), progress=False)
    assert [path.name for path in tmp_path.iterdir()] == ["precious.txt"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"difficulty": "hard"},
        {"seed": -1},
        {"size": (63, 320)},
        {"size": (320, 0)},
        {"size": (64, 99999)},
        {"deck": "full"},
        {"deck": "balanced"},
    ],
)
def test_impossible_requests_are_refused(wrong):
    with pytest.raises(InputError, match=str(next(iter(wrong)))):
        Request(**{"seed": 0} | wrong)


def test_a_negative_index_is_refused():
    with pytest.raises(InputError, match="index"):
        Request(0).photograph(-1)


def test_built_in_parts_are_disjoint(monkeypatch):
    monkeypatch.setattr(dataset_module, "BUILT_IN_IMAGES", {"train": 3, "val": 2, "test": 2})
    splits = built_in_splits(5)
    names = [part.image_name(i) for part in (splits.train, splits.val, splits.test) for i in range(len(part))]
    assert names == [f"synthetic-{i:06d}" for i in range(7)]
    assert splits.test.size(0) == (120, 160) and splits.named_test
