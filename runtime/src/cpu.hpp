#pragma once

namespace edgeseg {

// Whether the CPU multiplies uint8 by int8 into 32 bits at once. x86 CPUs that cannot saturate 16-bit sums on the way, silently, so
// they need the graph with 7-bit weights. Other architectures are not affected.
bool has_vnni() noexcept;

bool has_avx2() noexcept;

}  // namespace edgeseg
