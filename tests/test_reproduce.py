"""`python -m fasterfpn.reproduce` on its smallest scale: every figure, every number, and a resume after a stop."""

import json
import os
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

from fasterfpn import reproduce
from fasterfpn.cli import run
from fasterfpn.data.synthetic.folders import write_images
from fasterfpn.data.synthetic.request import Request
from fasterfpn.engine import trainer
from fasterfpn.study import stages

FIGURES = ["Table 2", *(f"Figure {number}" for number in (1, 2, 3, 8, 10, 11, 12, 13))]


def command(*arguments):
    """The exit status of the command line."""
    line = ["--scale", "tiny", "--device", "cpu", *map(str, arguments)]
    try:
        run(reproduce.main, "reproduce", line)
    except SystemExit as stopped:
        return stopped.code
    return 0


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A whole experiment."""
    out = tmp_path_factory.mktemp("experiment") / "out"
    assert command("--out", out) == 0
    return out


class Cells(HTMLParser):
    """The text of all table cells, and of all captions' names."""

    def __init__(self, html):
        super().__init__()
        self.cells, self.names, self.tag = [], set(), ""
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tag = tag

    def handle_data(self, data):
        if self.tag == "td":
            self.cells.append(data)
        if self.tag == "b":
            self.names.add(data.rstrip("."))


def numbers_in(content):
    """Every number of a JSON as a table may print it."""
    if isinstance(content, dict):
        return {text for value in content.values() for text in numbers_in(value)}
    if isinstance(content, list):
        return {text for value in content for text in numbers_in(value)}
    if isinstance(content, (int, float)) and not isinstance(content, bool):
        formats = f"{100 * content:.1f}", f"{content:.3f}", f"{content / 1e6:.2f}", f"{content / 60:.1f}"
        return {*formats, f"{100 * content:.2f}", f"{content:.1f}", f"{content:g}", str(content)}
    return set()


def test_the_page_has_every_figure_and_the_json_every_number(finished):
    html = (finished / "report.html").read_text()
    page = Cells(html)
    assert page.names >= set(FIGURES)
    content = json.loads((finished / "report.json").read_text())
    networks = content["seeds"]["0"]["networks"]
    assert set(networks) == {"multiscale", "single-scale"}
    printed = {text for cell in page.cells for text in re.findall(r"(?<![\w.])-?\d+(?:\.\d+)?(?![\w.])", cell)}
    bounds = {f"{edge:g}" for edge in content["experiment"]["short_sides"] if edge is not None}
    assert len(printed) > 20 and printed - bounds <= numbers_in(content)
    for said in ("63.3", "0.73", "75.8", "0.84", content["experiment"]["generator"], "synthetic", "like a stride of"):
        assert said in html
    for network in networks.values():
        assert network["mAP"].keys() == {"value", "low", "high"} and network["parameters"] > 1e5
        assert len(network["precision_recall"]) == 10 and len(network["losses"]["total_loss"]) == 6
    assert set(content["seeds"]["0"]["gains"]) == {"multiscale"}


@pytest.mark.slow
def test_what_is_done_is_not_done_again_and_what_is_not_is(finished, tmp_path, monkeypatch, capsys):
    out = tmp_path / "out"
    shutil.copytree(finished, out)
    shutil.rmtree(out / "seed-0" / "single-scale")
    (out / "seed-0" / "single-scale").mkdir()
    (out / "seed-0" / "single-scale" / "last.safetensors").touch()  # as a kill before the first validation leaves it
    (out / ".report.html.1.partial").touch()  # of a process 1 that is not ours, and of one that is gone
    (out / ".report.html.999999999.partial").touch()
    (out / "report.html").unlink()
    trained = []
    fit = stages.fit
    monkeypatch.setattr(stages, "fit", lambda *arguments: trained.append(arguments[-1]) or fit(*arguments))
    monkeypatch.setattr(stages, "write_images", None)
    assert command("--out", out) == 0
    assert [folder.name for folder in trained] == ["single-scale"]
    assert (out / "report.html").is_file() and [path.name for path in out.rglob("*.partial")] == [
        ".report.html.1.partial"
    ]
    assert "multiscale: done before" in capsys.readouterr().out
    before, after = (json.loads((folder / "report.json").read_text())["seeds"]["0"] for folder in (finished, out))
    assert losses_of(before) == losses_of(after)  # the same seed gives the same network


def losses_of(entry):
    """Every network's losses, which tell runs apart where nothing is learnt."""
    found = {name: network["losses"] for name, network in entry["networks"].items()}
    assert all(len(set(losses["total_loss"])) == 6 for losses in found.values())
    return found


@pytest.mark.slow
def test_a_training_that_was_stopped_is_resumed(finished, tmp_path, monkeypatch, capsys):
    out = tmp_path / "out"
    shutil.copytree(finished, out)
    shutil.rmtree(out / "seed-0" / "multiscale")
    step = trainer.Trainer.step
    steps = []

    def stop_at_the_ninth(self, batch):
        steps.append(self.budget.done)
        if len(steps) == 9:
            raise KeyboardInterrupt
        return step(self, batch)

    monkeypatch.setattr(trainer.Trainer, "step", stop_at_the_ninth)
    assert command("--out", out) != 0
    assert command("--out", out) == 0
    assert steps == [0, 1, 2, 3, 4, 5, 6, 7, 8, *range(6, 12)]  # the first of two validations came after six
    assert "continues after step 6" in capsys.readouterr().out
    before, after = (json.loads((folder / "report.json").read_text())["seeds"]["0"] for folder in (finished, out))
    assert losses_of(before) == losses_of(after)
    assert not list(out.rglob("resume.safetensors"))


@pytest.mark.parametrize(("stop", "status"), [(KeyboardInterrupt(), 130), (SystemExit(143), 143)])
def test_a_signal_says_how_to_resume(finished, monkeypatch, capsys, stop, status):
    def stopped(*arguments, **named):
        raise stop

    monkeypatch.setattr(stages, "publish", stopped)
    assert command("--out", finished) == status
    assert capsys.readouterr().err.endswith("the same command resumes the experiment\n")


@pytest.mark.slow
def test_a_stop_after_the_training_repeats_no_step(finished, tmp_path, monkeypatch):
    out = tmp_path / "out"
    shutil.copytree(finished, out)
    shutil.rmtree(out / "seed-0" / "multiscale")
    monkeypatch.setattr(trainer, "RESUME_SECONDS", 0)

    def stopped(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(stages, "write_json", stopped)  # of training.json
        assert command("--out", out) != 0
    monkeypatch.setattr(trainer.Trainer, "step", None)
    assert command("--out", out) == 0
    before, after = (json.loads((folder / "report.json").read_text())["seeds"]["0"] for folder in (finished, out))
    assert losses_of(before) == losses_of(after)
    assert before["networks"]["multiscale"]["validation"] == after["networks"]["multiscale"]["validation"]


@pytest.mark.slow
def test_other_images_want_another_folder(tmp_path, capsys):
    write_images(tmp_path / "data", 60, Request(1, size=(64, 96)), workers=1, progress=False)
    out = tmp_path / "out"
    assert command("--out", out, "--data", tmp_path / "data", "--steps", "1") == 0
    annotation = next(iter((tmp_path / "data" / "Annotations").iterdir()))
    annotation.write_text(re.sub(r"<ymax>\d+", "<ymax>64", annotation.read_text()))
    assert command("--out", out, "--data", tmp_path / "data", "--steps", "1") == 2
    assert "was begun with other settings (parts)" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["experiment.json", "seed-0/multiscale/training.json"])
@pytest.mark.parametrize("text", ["[]", "{"])
def test_a_damaged_record_is_one_line(finished, tmp_path, capsys, name, text):
    out = tmp_path / "out"
    shutil.copytree(finished, out)
    (out / name).write_text(text)
    assert command("--out", out) == 2
    assert f"{name}: cannot be read" in capsys.readouterr().err


def test_other_settings_want_another_folder(finished, capsys):
    before = sorted(finished.rglob("*"))
    assert command("--out", finished, "--steps", "3") == 2
    assert "was begun with other settings (training)" in capsys.readouterr().err
    assert sorted(finished.rglob("*")) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "{tmp}/absent"], "absent: no such folder"),
        (["--data", "{tmp}/few"], "no object of"),
        (["--seeds", "0"], "--seeds 0"),
        (["--first-seed", "-1"], "--first-seed -1"),
        (["--device", "teapot"], "--device teapot"),
        (["--steps", "0"], "steps: 0 is out of range"),
        (["--out", "{tmp}/few"], "holds something else already"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(tmp_path, capsys, arguments, message):
    write_images(tmp_path / "few", 12, Request(1, size=(64, 96)), workers=1, progress=False)
    stems = sorted(path.stem for path in (tmp_path / "few" / "Annotations").iterdir())
    lists = tmp_path / "few" / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    for part, names in {"train": stems[:1], "val": stems[1:2], "test": stems[2:]}.items():
        (lists / f"{part}.txt").write_text("\n".join(names) + "\n")
    before = sorted(tmp_path.rglob("*"))
    arguments = [argument.format(tmp=tmp_path) for argument in arguments]
    assert command("--out", tmp_path / "out", *arguments) == 2
    error = capsys.readouterr().err
    assert message in error and "Traceback" not in error
    assert sorted(tmp_path.rglob("*")) == before


CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def browse(page, profile):
    """(console messages, addresses that the page asked for) of a page in headless Chromium."""
    log = profile / "net.json"
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
    options += [f"--user-data-dir={profile / 'chromium'}", f"--log-net-log={log}", "--enable-logging=stderr", "--v=0"]
    line = [CHROMIUM, *options, "--virtual-time-budget=2000", "--dump-dom", page.resolve().as_uri()]
    done = subprocess.run(line, capture_output=True, text=True, timeout=120, env={**os.environ, "HOME": str(profile)})
    assert "<html" in done.stdout, done.stderr
    asked = set()
    for event in json.loads(log.read_text())["events"]:
        details = event.get("params", {})
        # The browser's own requests, for updates and the like, have an initiator that is no origin.
        if "url" in details and details.get("initiator", "not an origin") != "not an origin":
            asked.add(details["url"])
    return [text for text in done.stderr.splitlines() if ":CONSOLE" in text], {
        address for address in asked if not address.startswith("data:")
    }


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium here: apt-get install chromium")
def test_a_browser_finds_no_error_and_asks_for_nothing(finished, tmp_path):
    assert browse(finished / "report.html", tmp_path) == ([], set())


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium here: apt-get install chromium")
def test_a_browser_would_notice(tmp_path):
    page: Path = tmp_path / "bad.html"
    page.write_text('<img src="http://127.0.0.1:9/x.png"><script>missing()</script>')
    messages, asked = browse(page, tmp_path)
    assert len(messages) == 1 and asked == {"http://127.0.0.1:9/x.png"}
