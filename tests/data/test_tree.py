"""Nothing in a folder is lost without being counted."""

from fasterfpn.data.tree import by_suffix, walk


def names(paths, root):
    return [path.relative_to(root).as_posix() for path in paths]


def test_images_and_what_is_passed_over(make, tmp_path):
    for name in ("b.webp", "a/c.PNG", "a.b/x.jpg", "out/y.png"):
        make.image(tmp_path / name)
    for name in ("n.txt", "a/s.svg", ".hidden.png", ".git/a.png", "thumbs.db", "Desktop.ini", "__MACOSX/a.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    tree = walk(tmp_path, leave_out=tmp_path / "out")
    assert names(tree.images, tmp_path) == ["a/c.PNG", "a.b/x.jpg", "b.webp"]
    assert names(tree.others, tmp_path) == ["a/s.svg", "n.txt"] and tree.problems == ()
    assert by_suffix(tree.others, tmp_path) == "1 .svg (a/s.svg), 1 .txt (n.txt)"


def test_links_are_followed_once_and_loops_end(make, tmp_path):
    make.image(tmp_path / "outside" / "o.png")
    root = tmp_path / "root"
    make.image(root / "sub" / "i.png")
    (root / "again").symlink_to(root / "sub")
    (root / "sub" / "up").symlink_to(root)
    (root / "away").symlink_to(tmp_path / "outside")
    (tmp_path / "outside" / "self").symlink_to(tmp_path / "outside")
    (root / "broken.png").symlink_to("nowhere")
    (root / "loop.png").symlink_to("loop.png")
    tree = walk(root)
    assert names(tree.files, root) == ["away/o.png", "broken.png", "loop.png", "sub/i.png"]
    assert sorted(line.split(":")[0][len(str(root)) + 1 :] for line in tree.problems) == [
        "again",
        "away/self",
        "sub/up",
    ]


def test_a_folder_that_cannot_be_read_is_told(make, tmp_path, monkeypatch):
    make.image(tmp_path / "locked" / "a.png")
    iterdir = type(tmp_path).iterdir

    def refusing(path):
        if path.name == "locked":
            raise PermissionError(13, "Permission denied")
        return iterdir(path)

    monkeypatch.setattr(type(tmp_path), "iterdir", refusing)
    assert walk(tmp_path).problems == (
        f"{tmp_path / 'locked'}: cannot be read (Permission denied), so its files are left out",
    )
