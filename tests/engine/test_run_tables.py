"""losses.csv and validation.csv: what was written is read back, what is damaged is named."""

import math
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fasterfpn.engine.run_folder import RunFolder
from fasterfpn.engine.tables import LOSSES, LossLog, Table
from fasterfpn.errors import InputError

HEAD = "step,epoch,mAP_area"
ROWS = [f"{step},{step / 4:.3f},0.1234" for step in (3, 6, 9)]
WHOLE = "\n".join([HEAD, *ROWS]) + "\n"


def table_of(folder, text=None):
    table = RunFolder(folder).validation_table
    if text is not None:
        table.path.write_text(text)
    return table


def test_the_columns_are_read_back_by_name(tmp_path):
    table = table_of(tmp_path)
    table.start()
    for step, value in ((2, 0.5), (4, math.nan)):
        table.append(step, "1.000", f"{value:.4f}")
    columns = RunFolder(tmp_path).validations()
    assert list(columns) == ["step", "epoch", "mAP_area"] and columns["step"] == [2, 4]
    assert columns["mAP_area"][0] == 0.5 and math.isnan(columns["mAP_area"][1])


def test_further_columns_are_no_fault_of_a_reader_but_of_a_writer(tmp_path):
    table = table_of(tmp_path, "step,epoch,recall,mAP_area\n3,0.1,0.7,0.2\n")
    assert table.read() == {"step": [3], "epoch": [0.1], "mAP_area": [0.2]}
    with pytest.raises(InputError, match="has the columns step, epoch, recall, mAP_area"):
        table.continue_after(3, [3])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "first line lacks the columns step, epoch, mAP_area"),
        ("\n".join(ROWS) + "\n", "first line lacks"),  # its heading is gone
        ("step,epoch\n3,0.1\n", "first line lacks the columns mAP_area"),
        (WHOLE + "\n", "line 5 is damaged"),
        (WHOLE.replace("6,", "6;"), "line 3 is damaged"),
        (WHOLE.replace("0.1234", "x"), "line 2 is damaged"),
        (WHOLE.replace("9,2.250,0.1234", "9,2.2"), "line 4 is damaged"),
        (WHOLE + "6,1.500,0.1234\n", "line 5 is damaged"),
        (WHOLE + "\0\0\0\n", "line 5 is damaged"),
    ],
)
def test_a_damaged_table_is_named_and_left_as_it_is(tmp_path, text, message):
    table = table_of(tmp_path, text)
    with pytest.raises(InputError, match=rf"validation\.csv: .*{message}.*remove the file to resume"):
        table.read()
    if text:
        with pytest.raises(InputError, match=message):
            table.continue_after(9, [3, 6, 9])
        assert table.path.read_text() == text


def test_an_absent_table_is_named(tmp_path):
    with pytest.raises(InputError, match=r"losses\.csv: cannot be read \(No such file"):
        RunFolder(tmp_path).losses()


@given(st.integers(1, len(WHOLE)))
def test_a_table_that_is_cut_off_anywhere_continues_and_what_it_lacks_is_named(tmp_path_factory, length):
    table = table_of(tmp_path_factory.mktemp("run"), WHOLE[:length])
    with pytest.MonkeyPatch.context() as patch:
        told = []
        patch.setattr("sys.stderr", type("Told", (), {"write": lambda self, text: told.append(text)})())
        table.continue_after(9, [3, 6, 9])
    whole = WHOLE[:length].count("\n") - 1  # rows that end as a line does
    kept = [HEAD, *ROWS[: max(0, whole)]]
    assert table.path.read_text() == "\n".join(kept) + "\n"
    told = "".join(told)
    assert ("was cut off" in told) == (not WHOLE[:length].endswith("\n"))
    lacking = re.search(r"lacks (\d) rows .*\(steps (\d) to 9\)", told)
    assert (lacking and int(lacking[1])) == (len(ROWS) - len(kept) + 1 or None)


def test_rows_after_the_step_go_and_a_table_that_was_removed_begins_anew(tmp_path, capsys):
    table = table_of(tmp_path, WHOLE)
    table.continue_after(6, [3, 6])
    assert table.read()["step"] == [3, 6] and capsys.readouterr().err == ""
    table.path.unlink()
    table.continue_after(6, [3, 6])
    assert table.path.read_text() == HEAD + "\n" and "lacks 2 rows" in capsys.readouterr().err


@settings(max_examples=40)
@given(st.integers(1, 7), st.lists(st.floats(0, 100), min_size=1, max_size=30), st.data())
def test_a_row_is_the_mean_of_its_steps_wherever_the_log_was_stopped(tmp_path_factory, every, values, data):
    folder = tmp_path_factory.mktemp("run")
    stop = data.draw(st.integers(0, len(values)))
    written = []
    for name, cut in (("whole", None), ("parts", stop)):
        table = Table(folder / f"{name}.csv", ("step", "epoch", "learning_rate", *LOSSES))
        table.start()
        log = LossLog(table, every)
        for step, value in enumerate(values, start=1):
            log.add(step, step / 10, 0.1, dict.fromkeys(LOSSES, value))
            if step == cut:
                window = list(log.window)
                log.flush()  # as at a stop
                log = LossLog(table, every)
                log.continue_after(step, window)
        log.flush()
        written.append(table.path.read_text())
    assert written[0] == written[1]
    steps = [*range(every, len(values) + 1, every)]
    assert table.read()["step"] == steps + ([len(values)] if len(values) % every else [])
    assert table.read()["roi_loc_loss"][0] == pytest.approx(sum(values[:every]) / len(values[:every]), abs=1e-5)
