"""`open_data` as the tests call it."""

from fasterfpn.data import splits
from fasterfpn.data.config import DataConfig


def open_data(folder, classes=None, **options):
    """The parts of a folder, with the choices of `DataConfig` as keywords."""
    return splits.open_data(DataConfig(data=str(folder), **options), classes)
