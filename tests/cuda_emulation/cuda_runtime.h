// Found before CUDA's own header of this name by -I: the kernels' `#include <cuda_runtime.h>` then needs no CUDA.
#include "cuda_emulation.h"
