#pragma once

#include <cstddef>
#include <string>

namespace edgeseg {

// 64 lower-case hex digits.
std::string sha256(const void* data, std::size_t size);

}  // namespace edgeseg
