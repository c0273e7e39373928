// Compiled with -mavx2.
#define EDGESEG_KERNELS kernels_avx2
#include "kernels.inc"
