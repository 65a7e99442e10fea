"""The report of a single run: complete, about that run alone, for any class names and also without a test part."""

import json
import re

import pytest
import torch

from fasterfpn.data.config import DataConfig
from fasterfpn.data.sources import open_source
from fasterfpn.data.synthetic.folders import write_images
from fasterfpn.data.synthetic.request import Request
from fasterfpn.engine.config import Config
from fasterfpn.engine.run_folder import RunFolder
from fasterfpn.files import OutputError
from fasterfpn.models.config import BackboneConfig, BoxHeadConfig, DetectorConfig, ImageConfig, RpnConfig
from fasterfpn.models.detector import build_detector
from fasterfpn.study.publish import publish_run

MODEL = DetectorConfig(
    image=ImageConfig(image_min_side=64, image_max_side=96),
    backbone=BackboneConfig(depth=10, width=16, norm="group", pyramid_channels=16),
    rpn=RpnConfig(rpn_keep_test=5),
    box=BoxHeadConfig(box_hidden=8),
)
TRAINING = {"steps": 4, "seconds": 1.0, "best_step": 4, "best_mAP": None, "threads": 1, "device": "cpu"}
ODD = ["划痕", "$5 to $6", "<b>&amp;", "{{ title }}", "x" * 200]


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Annotated images, some classes with names that are hard to print."""
    folder = tmp_path_factory.mktemp("images") / "data"
    write_images(folder, 30, Request(5, size=(64, 96)), workers=1, progress=False)
    plain = ["crater", "dirty point", "jet", "leakage", "orange peel"]
    for path in (folder / "Annotations").iterdir():
        text = path.read_text()
        for name, odd in zip(plain, ODD, strict=True):
            escaped = odd.replace("&", "&amp;").replace("<", "&lt;")
            text = text.replace(f"<name>{name}</name>", f"<name>{escaped}</name>")
        path.write_text(text, encoding="utf-8")
    return folder


def published(images, out, **parts):
    """report.html and report.json of a network that finds each object of the test part."""
    splits = open_source(DataConfig(data=str(images), **parts))
    assert set(ODD) & set(splits.train.classes)
    out.mkdir(exist_ok=True)
    run = RunFolder(out)
    run.loss_table.start()
    run.loss_table.append(2, "0.1", "0.001", "5.0", "1.0", "1.0", "1.0", "2.0")
    run.validation_table.start()
    run.validation_table.append(2, "0.1", "nan")
    detections = [splits.test[index][1] for index in range(len(splits.test))]
    detections = [
        {"boxes": one["boxes"], "labels": one["labels"], "scores": torch.full((len(one["labels"]),), 0.9)}
        for one in detections
    ]
    config = Config(MODEL, DataConfig(data=str(images)))
    publish_run(run, build_detector(MODEL, splits.train.classes, 0).eval(), splits, config, detections, TRAINING)
    return run.report_page.read_text(encoding="utf-8"), json.loads(run.report_figures.read_text())


def test_a_plain_run_names_no_paper_and_has_bins_of_its_own(images, tmp_path):
    html, content = published(images, tmp_path / "run")
    words = re.sub(r'src="[^"]*"', "", html)
    assert not re.search(r"Figure \d|Table \d|[Tt]he paper|Wei and Bi|Beyond", words)
    assert content["paper"] == {}
    (network,) = content["seeds"]["0"]["networks"].values()
    assert network["mAP"]["value"] == 1 and network["losses"]["total_loss"] == [5.0]
    bins = network["by_short_side"]
    assert sum(entry["objects"] for entry in bins) == network["objects"] > 0
    for heading in ("Results", "Data", "Training", "Detections"):
        assert f"<h2>{heading}</h2>" in html
    assert "Wrong detections" not in html  # there are none
    for name in ("$5 to $6", "&lt;b&gt;&amp;amp;", "{{ title }}"):
        assert f"<td>{name}</td>" in html


def test_without_a_test_part_the_report_has_data_and_training(images, tmp_path):
    html, content = published(images, tmp_path / "run", test_fraction=0.0)
    assert "There is no test part" in html and "<h2>Training</h2>" in html and "<h2>Results</h2>" not in html
    (network,) = content["seeds"]["0"]["networks"].values()
    assert network["mAP"]["value"] is None and network["images"] == 0


def test_a_report_that_cannot_be_written_is_one_line(images, tmp_path):
    (tmp_path / "run" / "report.html").mkdir(parents=True)
    with pytest.raises(OutputError, match=r"report\.html: cannot be written") as refused:
        published(images, tmp_path / "run", test_fraction=0.0)
    assert "\n" not in str(refused.value)
