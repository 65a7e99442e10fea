"""The ten kinds of defect of the aluminium data set (Wei and Bi 2019, Table 1)."""

ALUMINIUM_CLASSES = (  # in the paper's order: label k is the k-th
    "non-conductive",
    "scratch",
    "corner leak",
    "orange peel",
    "leakage",
    "jet",
    "paint bubble",
    "crater",
    "parti-color",
    "dirty point",
)
