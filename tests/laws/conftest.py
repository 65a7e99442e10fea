import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "ops"))  # operator_cases: the back ends of this machine
