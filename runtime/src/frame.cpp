// Frame descriptors: what device software says about its memory.
#include "error.hpp"
#include "session.hpp"

namespace edgeseg {
namespace {

constexpr std::uint32_t smallest_side = 16, largest_side = 16384;

[[noreturn]] void wrong(const std::string& what) { throw Error(EDGESEG_E_ARGUMENT, what); }

}  // namespace

Picture check_frame(const edgeseg_frame& frame) {
    if (frame.format > EDGESEG_NV12) wrong("frame.format is none of EDGESEG_BGR, _RGB, _GREY, _NV12");
    if (frame.color > EDGESEG_BT709_FULL) wrong("frame.color is none of EDGESEG_BT601_LIMITED and the three after it");
    if (frame.width < smallest_side || frame.width > largest_side || frame.height < smallest_side || frame.height > largest_side) {
        wrong("the frame has " + std::to_string(frame.width) + "x" + std::to_string(frame.height) + " pixels, width and height must be 16 to 16384");
    }
    const bool nv12 = frame.format == EDGESEG_NV12;
    if (nv12 && (frame.width % 2 != 0 || frame.height % 2 != 0)) wrong("an NV12 frame needs an even width and height");
    Picture out;
    out.format = frame.format;
    out.color = frame.color;
    out.width = static_cast<int>(frame.width);
    out.height = static_cast<int>(frame.height);
    const std::size_t planes = nv12 ? 2 : 1;
    const std::size_t packed = static_cast<std::size_t>(frame.width) * (frame.format == EDGESEG_BGR || frame.format == EDGESEG_RGB ? 3 : 1);
    for (std::size_t i = 0; i < planes; ++i) {
        if (frame.plane[i] == nullptr) wrong(i == 0 ? "frame.plane[0] is NULL" : "frame.plane[1] is NULL; NV12 needs its chroma plane");
        if (frame.stride[i] != 0 && frame.stride[i] < packed) {
            wrong("frame.stride[" + std::to_string(i) + "] is " + std::to_string(frame.stride[i]) + " bytes, a row needs " + std::to_string(packed));
        }
        out.plane[i] = frame.plane[i];
        out.stride[i] = frame.stride[i] != 0 ? frame.stride[i] : packed;
    }
    return out;
}

bool has_roi(const edgeseg_frame& frame, Box& roi) {
    const edgeseg_rect& rect = frame.roi;
    if (rect.x == 0 && rect.y == 0 && rect.width == 0 && rect.height == 0) return false;
    const bool inside = rect.x >= 0 && rect.y >= 0 && rect.width > 0 && rect.height > 0 &&
                        std::int64_t{rect.x} + rect.width <= std::int64_t{frame.width} && std::int64_t{rect.y} + rect.height <= std::int64_t{frame.height};
    if (!inside) wrong("frame.roi is empty or reaches beyond the frame");
    roi = {rect.x, rect.y, rect.width, rect.height};
    return true;
}

}  // namespace edgeseg
