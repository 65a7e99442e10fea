"""The laws tell right from wrong: the shipped code, the answers and other styles obey, learners' mistakes do not."""

import inspect
import re
from pathlib import Path

import hypothesis
import pytest
from faults import FAULTS
from operator_cases import NMS_KERNELS, POOLING_KERNELS, running

from fasterfpn.laws.judge import load
from fasterfpn.laws.law import EXAMPLES, Broken, Recorder, exercise_settings, laws_of
from fasterfpn.laws.tasks import TASKS

HERE = Path(__file__).parent
ANSWERS = HERE.parents[1] / "docs/answers/code"
CASES = [
    pytest.param(task, law, id=f"{name}-{law.name}")
    for name, task in TASKS.items()
    for law in laws_of(task.laws_module)
]


def task_of(file):
    """The task whose name the file's begins with; smooth_l1_mean.py is of smooth_l1."""
    return max((task for task in TASKS.values() if file.stem.startswith(task.name)), key=lambda task: len(task.name))


def recorded(task, file):
    return Recorder(load(task, file), task.function, inspect.signature(task.laws_module.reference))


@pytest.mark.parametrize(("task", "law"), CASES)
def test_the_shipped_code_obeys(task, law):
    law.check(Recorder(task.laws_module.reference, task.function, inspect.signature(task.laws_module.reference)))


@pytest.mark.slow
@NMS_KERNELS
def test_nms_obeys_on_every_back_end(kernel):
    with running(kernel):
        for law in laws_of(TASKS["nms"].laws_module):
            law.check(TASKS["nms"].laws_module.reference)


@pytest.mark.slow
@POOLING_KERNELS
def test_pooling_obeys_on_every_back_end(kernel):
    with running(kernel):
        for law in laws_of(TASKS["roi_max_pool"].laws_module):
            law.check(TASKS["roi_max_pool"].laws_module.reference)


RIGHT = [*sorted(ANSWERS.glob("*.py")), *sorted((HERE / "other_style").glob("*.py"))]


@pytest.mark.parametrize("examples", [8, pytest.param(EXAMPLES, marks=pytest.mark.slow)])
@pytest.mark.parametrize("file", RIGHT, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_right_solutions_obey(file, examples):
    """The answers, and other styles: loops, numpy, float64, results as lists."""
    task = task_of(file)
    for law in laws_of(task.laws_module):
        law.check(recorded(task, file), hypothesis.settings(exercise_settings(), max_examples=examples), 0)


WRONG = sorted((HERE / "wrong").glob("*.py"))


@pytest.mark.parametrize("file", WRONG, ids=lambda file: file.stem)
def test_a_wrong_solution_breaks_the_law_that_names_its_fault(file):
    task, broken = task_of(file), re.search(r"Breaks (\w+)\.", file.read_text())[1]
    (law,) = (law for law in laws_of(task.laws_module) if law.name == broken)
    with pytest.raises(Broken):
        law.check(recorded(task, file), exercise_settings(shrink=False), 0)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_an_edit_that_makes_a_solution_wrong_breaks_the_law_that_names_it(fault, tmp_path):
    file = tmp_path / f"{fault.name}.py"
    file.write_text(fault.text((HERE / "other_style" / f"{fault.base}.py").read_text()))
    (law,) = (law for law in laws_of(task_of(file).laws_module) if law.name == fault.breaks)
    with pytest.raises(Broken):
        law.check(recorded(task_of(file), file), exercise_settings(shrink=False), 0)


def test_every_task_has_an_answer_and_three_wrong_solutions():
    assert {file.stem for file in ANSWERS.glob("*.py")} == set(TASKS)
    wrong = [*WRONG, *(Path(fault.name) for fault in FAULTS)]
    for name in TASKS:
        assert sum(task_of(file).name == name for file in wrong) >= 3, name


@pytest.mark.parametrize("name", TASKS)
def test_what_a_learner_begins_with_is_no_solution_yet(name):
    task = TASKS[name]
    with pytest.raises(Broken) as caught:
        laws_of(task.laws_module)[0].check(recorded(task, task.start), exercise_settings(), 0)
    assert isinstance(caught.value.__cause__, NotImplementedError)
    shipped = inspect.signature(task.laws_module.reference).parameters
    assert set(inspect.signature(load(task, task.start)).parameters) <= set(shipped)
