"""The ten kinds of defect of the aluminium data set (Wei and Bi 2019, Table 1)."""

from fasterfpn.data.formats.tianchi import CHINESE_NAMES

ALUMINIUM_CLASSES = tuple(CHINESE_NAMES)  # in the paper's order: label k is the k-th
