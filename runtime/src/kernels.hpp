// Inner loops over pixels. kernels.inc is compiled once for the baseline and, on x86, once with AVX2; the choice is made at run time.
// Nothing here includes the standard library: an inline function compiled with AVX2 must not be merged into the baseline's code.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace edgeseg {

// One bilinear sample: bytes at `offset` (first) and one pixel on (second), weights in 1/2048.
struct Tap {
    int32_t offset;
    int16_t first, second;
};

// YUV to RGB in libswscale's 13-bit form: `luma` and `black` for Y, then what V adds to R, U to B, and U and V to G.
struct Yuv {
    int16_t luma, black, v_r, u_b, u_g, v_g;
};

struct Kernels {
    // Horizontal step of OpenCV's INTER_LINEAR on BGR: out[4 * x + c] = (first + second weighted) >> 4. Never reads at or past `end`.
    void (*horizontal3)(const uint8_t* row, const uint8_t* end, const Tap* taps, int count, int16_t* out);
    // The same for one channel.
    void (*horizontal1)(const uint8_t* row, const Tap* taps, int count, int16_t* out);
    // Vertical step: ((a * wa >> 16) + (b * wb >> 16) + 2) >> 2, which is a grey level.
    void (*vertical)(const int16_t* a, const int16_t* b, int16_t wa, int16_t wb, int count, int16_t* out);
    void (*vertical_bytes)(const int16_t* a, const int16_t* b, int16_t wa, int16_t wb, int count, uint8_t* out);
    // Grey levels [4 * x + c] to packed BGR, `swap` for RGB in. b: a second row to take the mean with, or NULL; halve: mean of pixel pairs.
    void (*finish3)(const int16_t* a, const int16_t* b, bool halve, bool swap, int width, uint8_t* scratch, uint8_t* out);
    // The same from one channel, written to B, G and R.
    void (*finish1)(const int16_t* a, const int16_t* b, bool halve, int width, uint8_t* out);
    // One row of NV12 to packed BGR. near and far: the chroma rows, weighted 1:1. planes: scratch of 3 * width bytes.
    void (*nv12_row)(const uint8_t* y, const uint8_t* near, const uint8_t* far, const Yuv& yuv, int width, uint8_t* planes, uint8_t* out);
    // Values that differ by more than 1.
    uint64_t (*count_changed)(const uint8_t* a, const uint8_t* b, size_t count);
};

const Kernels& kernels_baseline();
#ifdef EDGESEG_AVX2
const Kernels& kernels_avx2();
#endif

const Kernels& kernels();  // the best for this CPU

}  // namespace edgeseg
