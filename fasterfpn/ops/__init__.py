"""The custom operators: non-maximum suppression and RoI max pooling, compiled where possible.

`reference.py` is their specification in plain PyTorch; `nms.py` and `roi_max_pool.py` hold the public functions and
make torch operators of the compiled kernels in csrc/; `backend.py` loads them, chooses, and says which of the two runs.
"""

from fasterfpn.ops.backend import backends, use_backend
from fasterfpn.ops.nms import batched_nms, nms
from fasterfpn.ops.roi_max_pool import multiscale_roi_max_pool, roi_max_pool

__all__ = ["backends", "batched_nms", "multiscale_roi_max_pool", "nms", "roi_max_pool", "use_backend"]
