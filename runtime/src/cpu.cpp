#include "cpu.hpp"

#include "kernels.hpp"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace edgeseg {

bool has_avx2() noexcept {
#if defined(__x86_64__)
    return __builtin_cpu_supports("avx2") != 0;
#else
    return false;
#endif
}

bool has_vnni() noexcept {
#if defined(__x86_64__)
    // AVX-VNNI (leaf 7, subleaf 1, EAX bit 4) is not known to older compilers' __builtin_cpu_supports.
    unsigned a = 0, b = 0, c = 0, d = 0;
    const bool avx_vnni = __get_cpuid_count(7, 1, &a, &b, &c, &d) != 0 && (a >> 4 & 1U) != 0 && has_avx2();
    return avx_vnni || __builtin_cpu_supports("avx512vnni") != 0;
#else
    return true;
#endif
}

const Kernels& kernels() {
#ifdef EDGESEG_AVX2
    if (has_avx2()) return kernels_avx2();
#endif
    return kernels_baseline();
}

}  // namespace edgeseg
