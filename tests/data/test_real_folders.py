"""Real data sets, where they are at hand: what is known about them comes out."""

from opening import open_data


def test_steel_surfaces(real_data):
    splits = open_data(real_data("neu-det"))
    assert len(splits.train) + len(splits.val) == 1440 and len(splits.val) == 144 and len(splits.test) == 360
    assert splits.named_test and splits.problems == ()
    classes = ("crazing", "inclusion", "patches", "pitted_surface", "rolled-in_scale", "scratches")
    assert splits.train.classes == splits.test.classes == classes
    samples = splits.train.samples + splits.val.samples + splits.test.samples
    assert sum(len(sample.labels) for sample in samples) == 4189
    assert sum(int(sample.difficult.sum()) for sample in samples) == 81
    assert splits.train[0][0].shape == (3, 200, 200)


def test_blood_cells(real_data):
    splits = open_data(real_data("bccd"))
    assert (len(splits.train), len(splits.val), len(splits.test)) == (205, 87, 72)
    assert splits.train.classes == ("Platelets", "RBC", "WBC")
    assert [line.split("/")[-1].split(".")[0] for line in splits.problems] == ["BloodImage_00338", "BloodImage_00343"]
    assert all("zero-size or inverted, dropped" in line for line in splits.problems)
    samples = splits.train.samples + splits.val.samples + splits.test.samples
    assert sum(len(sample.labels) for sample in samples) == 4886
