"""Reading others' weights: files, downloads over a server on this machine, and what must be refused."""

import hashlib
import io
import pickle
import re
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch
from safetensors.torch import save_file

from fasterfpn.engine.initial_weights import IMAGENET, download, load_initial_weights, read_weights
from fasterfpn.errors import InputError
from fasterfpn.models.config import BackboneConfig, DetectorConfig
from fasterfpn.models.detector import build_detector
from fasterfpn.models.weights import to_torchvision

STATE = {"conv1.weight": torch.arange(6.0).reshape(2, 3), "bn1.bias": torch.zeros(2)}


def saved(content):
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder served over HTTP on this machine: (folder, its URL)."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    folder = tmp_path / "site"
    folder.mkdir()

    class Quiet(SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(folder))

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server:
        threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_read_file(tmp_path):
    def check(name, prefix=""):
        read = read_weights(str(tmp_path / name), depth=10)
        assert all(torch.equal(read[prefix + key], STATE[key]) for key in STATE)

    wrappings = ((STATE, ""), ({"a": {"b": STATE}, "epoch": 3}, "a.b."), ({"state_dict": STATE}, "state_dict."))
    for wrapped, prefix in wrappings:
        (tmp_path / "weights.pth").write_bytes(saved(wrapped))
        check("weights.pth", prefix)
    save_file(STATE, tmp_path / "weights.safetensors")
    check("weights.safetensors")


def test_safetensors_of_others_are_taken_like_any_state_dict(tmp_path):
    config = DetectorConfig(backbone=BackboneConfig(depth=10, width=16, norm="group", pyramid_channels=16))
    donor, detector = (build_detector(config, ["scratch"], seed) for seed in (1, 2))
    save_file({name: value.contiguous() for name, value in to_torchvision(donor).items()}, tmp_path / "x.safetensors")
    report = load_initial_weights(detector, str(tmp_path / "x.safetensors"))
    assert not report.skipped and not report.missing
    assert torch.equal(detector.backbone.conv1.weight, donor.backbone.conv1.weight)


class Malicious:
    def __reduce__(self):
        return print, ("executed",)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html>not found</html>",
        saved({"a": torch.zeros(2)})[:-30],
        pickle.dumps(Malicious(), protocol=2),
        saved({"a": Malicious()}),
        saved([torch.zeros(2)]),
        saved({"model": 3}),
    ],
    ids=["empty", "html", "cut short", "malicious pickle", "malicious archive", "a list", "no tensors"],
)
def test_bad_file_is_refused_in_one_line(tmp_path, capsys, content):
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"weights\.pth") as caught:
        read_weights(str(path), depth=18)
    assert "\n" not in str(caught.value)
    assert "executed" not in capsys.readouterr().out


@pytest.mark.parametrize("name", [".", "missing.pth"])
def test_missing_file(tmp_path, name):
    with pytest.raises(InputError, match="no such file"):
        read_weights(str(tmp_path / name), depth=18)


@pytest.mark.parametrize("hashed", [True, False])
def test_download_is_checked_and_cached(site, tmp_path, hashed):
    folder, url = site
    content = saved({"a": torch.arange(3)})
    name = f"net-{hashlib.sha256(content).hexdigest()[:8]}.pth" if hashed else "net.pth"
    (folder / name).write_bytes(content)
    cache_folder = tmp_path / "new" / "cache"
    assert torch.equal(read_weights(f"{url}/{name}", 18, cache_folder)["a"], torch.arange(3))
    assert len(list(cache_folder.iterdir())) == 1
    assert (cache_folder / name).exists() == hashed
    (folder / name).unlink()  # from now on, only the cache has it
    assert torch.equal(read_weights(f"{url}/{name}", 18, cache_folder)["a"], torch.arange(3))


def test_files_of_one_name_from_two_places_do_not_mix(site, tmp_path):
    folder, url = site
    for index, place in enumerate("ab"):
        (folder / place).mkdir()
        (folder / place / "net.pth").write_bytes(saved({"a": torch.tensor(index)}))
    assert [int(read_weights(f"{url}/{place}/net.pth", 18, tmp_path / "cache")["a"]) for place in "ab"] == [0, 1]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("net-00000000.pth", saved({"a": torch.zeros(2)})),
        ("net.pth", b"<html>sign in first</html>"),
        ("none.pth", None),
    ],
    ids=["wrong hash", "no file of tensors", "not there"],
)
def test_wrong_download_leaves_nothing(site, tmp_path, name, content):
    folder, url = site
    if content is not None:
        (folder / name).write_bytes(content)
    with pytest.raises(InputError, match=name) as caught:
        read_weights(f"{url}/{name}", 18, tmp_path / "cache")
    assert "\n" not in str(caught.value)
    assert list((tmp_path / "cache").iterdir()) == []


def test_offline_names_the_address_and_the_way_out(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError("Name or service not known")

    monkeypatch.setattr("torch.hub.urlopen", refuse)
    with pytest.raises(InputError, match=r"resnet18-f37072fd\.pth.*give the file") as caught:
        read_weights("imagenet", 18, tmp_path)
    assert "\n" not in str(caught.value) and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", ["http://", "http://:x/net.pth", "https://127.0.0.1:1/net.pth"])
def test_address_that_is_none(url, tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with pytest.raises(InputError):
        download(url, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_imagenet_has_no_weights_for_depth_10():
    with pytest.raises(InputError, match="depth 10"):
        read_weights("imagenet", 10)


def test_imagenet_files_carry_their_hash():
    for depth, url in IMAGENET.items():
        assert re.fullmatch(rf"https://download\.pytorch\.org/models/resnet{depth}-[0-9a-f]{{8}}\.pth", url)
