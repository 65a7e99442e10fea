"""Stages are done once: what is complete is left alone, what was stopped is resumed, what is damaged starts again."""

import json
import math

import pytest

from fasterfpn.engine.trainer import Outcome
from fasterfpn.errors import InputError
from fasterfpn.study import stages
from fasterfpn.study.experiment import SCALES
from fasterfpn.study.stages import Study, begun, check_settings, run_path


class Part:
    classes = ("dent",)


class Splits:
    train = test = Part()


@pytest.fixture
def study(tmp_path, monkeypatch):
    """A study whose trainings are replaced by a note of what their folders held."""
    met = []

    def fit(detector, splits, config, folder):
        met.append(sorted(path.name for path in folder.iterdir() if path.name != ".lock"))
        (folder / "model.safetensors").touch()
        return Outcome(3, 1.0, 3, math.nan)

    monkeypatch.setattr(stages, "fit", fit)
    study = Study(tmp_path, SCALES["tiny"], {}, Splits(), "data", None, "cpu")
    return study, met


def test_a_training_is_done_once(study, capsys):
    study, met = study
    study.train(0, "multiscale")
    study.train(0, "multiscale")
    assert met == [[]] and "done before" in capsys.readouterr().out
    record = json.loads((run_path(study.out, 0, "multiscale") / "training.json").read_text())
    assert record["steps"] == 3 and record["best_mAP"] is None and record["device"] == "cpu"
    assert sorted(path.name for path in run_path(study.out, 0, "multiscale").iterdir()) == [
        "model.safetensors",
        "training.json",
    ]


@pytest.mark.parametrize(
    ("left", "kept"),
    [
        (["losses.csv", "last.safetensors"], []),  # nothing to resume from
        (["losses.csv", "resume.safetensors"], ["losses.csv", "resume.safetensors"]),
    ],
)
@pytest.mark.parametrize("name", ["without-top-down", ".without-top-down.partial"])  # now, and in earlier versions
def test_a_stopped_training_is_resumed_or_starts_again(study, left, kept, name):
    study, met = study
    folder = study.out / "seed-7" / name
    folder.mkdir(parents=True)
    for file in left:
        (folder / file).touch()
    study.train(7, "without top-down")
    assert met == [kept]
    assert [path.name for path in (study.out / "seed-7").iterdir()] == ["without-top-down"]


def test_a_folder_belongs_to_one_experiment(tmp_path):
    check_settings(tmp_path, {"steps": 3, "sides": (1, 2)})
    check_settings(tmp_path, {"steps": 3, "sides": (1, 2)})
    with pytest.raises(InputError, match=r"other settings \(sides, steps\)"):
        check_settings(tmp_path, {"steps": 4, "sides": (1,)})
    check_settings(tmp_path, {"steps": 3, "sides": (1, 2), "data": "elsewhere"})  # moved
    (tmp_path / "experiment.json").unlink()
    (tmp_path / "other").touch()
    with pytest.raises(InputError, match="holds something else"):
        check_settings(tmp_path, {"steps": 3})


def test_a_file_in_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "out").touch()
    with (
        pytest.raises(InputError, match="is no folder"),
        begun(tmp_path / "out", SCALES["tiny"], "tiny", "synthetic", None, "cpu"),
    ):
        pass


def test_an_experiment_of_the_first_version_is_resumed_and_another_generator_does_not(tmp_path):
    """That version named the generator, whose pictures are the same, by a hash, and the model had one more field."""
    record = json.loads(json.dumps(SCALES["tiny"].record() | {"generator": stages.GENERATOR_VERSION}))
    for generator, good in (("f3121c37635e", True), ("f3121c37635f", False)):
        old = record | {"generator": generator, "model": record["model"] | {"torchvision_compat": False}}
        (tmp_path / "experiment.json").write_text(json.dumps(old))
        if good:
            check_settings(tmp_path, record)
        else:
            with pytest.raises(InputError, match=r"other settings \(generator\)"):
                check_settings(tmp_path, record)
