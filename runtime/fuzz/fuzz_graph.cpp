// Any bytes as a graph file: walked, or refused with an Error.
#include <cstddef>
#include <cstdint>

#include "error.hpp"
#include "onnx_check.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    try {
        edgeseg::check_onnx(edgeseg::Bytes(data, data + size));
    } catch (const edgeseg::Error&) {
    }
    return 0;
}
