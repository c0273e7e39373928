// Any bytes as manifest.json: read, or refused with an Error. Nothing else may happen.
#include <cstddef>
#include <cstdint>

#include "error.hpp"
#include "manifest.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    try {
        edgeseg::parse_manifest(reinterpret_cast<const char*>(data), size);
    } catch (const edgeseg::Error&) {
    }
    return 0;
}
