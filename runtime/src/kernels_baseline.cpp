#define EDGESEG_KERNELS kernels_baseline
#include "kernels.inc"
