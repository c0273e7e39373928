// Any frame descriptor: refused, or fitted from memory that ends exactly where the descriptor says, and its mask taken back.
#include <algorithm>
#include <cstring>
#include <memory>

#include "error.hpp"
#include "post.hpp"
#include "session.hpp"

using namespace edgeseg;

namespace {

struct Descriptor {
    std::uint8_t mode, level, format, color;
    std::uint32_t width, height, stride[2];
    std::int32_t x, y, roi_width, roi_height;
};

constexpr int network_height = 24, network_width = 32;

// A plane of just as many bytes as its last row needs.
std::unique_ptr<std::uint8_t[]> plane(std::size_t stride, std::size_t row, std::size_t rows, std::uint8_t seed) {
    const std::size_t size = stride * (rows - 1) + row;
    std::unique_ptr<std::uint8_t[]> out(new std::uint8_t[size]);
    for (std::size_t i = 0; i < size; ++i) out[i] = static_cast<std::uint8_t>(i * seed);
    return out;
}

void use(edgeseg_frame frame, const Descriptor& from) {
    const std::uint8_t nothing = 0;
    frame.plane[0] = frame.plane[1] = &nothing;
    Picture picture = check_frame(frame);
    Box box{0, 0, picture.width, picture.height};
    const bool given = has_roi(frame, box);
    if (frame.width > 200 || frame.height > 200 || picture.stride[0] > 4096 || picture.stride[1] > 4096) return;
    const std::size_t row = frame.width * (frame.format <= EDGESEG_RGB ? 3U : 1U);
    const auto first = plane(picture.stride[0], row, frame.height, from.mode), second = plane(std::max(picture.stride[1], row), row, std::max(1U, frame.height / 2), from.level);
    picture.plane[0] = first.get();
    picture.plane[1] = second.get();
    Manifest manifest;
    manifest.height = network_height;
    manifest.width = network_width;
    manifest.classes = {{"background", 0, 0, 0, 0}, {"one", 0, 0, 0, 100}, {"two", 0, 0, 0, 150}};
    manifest.upsample_nearest = (from.mode & 8U) != 0;
    manifest.min_area = (from.mode & 16U) != 0 ? 0.1 : 0.0;
    manifest.fit.mode = static_cast<Fit::Mode>(from.mode % 3);
    manifest.fit.enlarge = (from.mode & 4U) != 0;
    RowReader reader;
    reader.prepare(picture.width);
    std::vector<std::uint32_t> counts(frame.width + frame.height);
    if (!given) box = content_box(picture, from.level, reader, counts);
    const Placement placement = place(manifest.fit, network_height, network_width, box);
    Fitter fitter;
    fitter.prepare(picture.width, network_width, network_height);
    fitter.place(placement, picture.format);
    std::vector<std::uint8_t> fitted(network_height * network_width * 3);
    fitter.run(picture, 0, fitted.data());
    SignalWatch watch;
    watch.prepare(network_height, network_width);
    const char* why = nullptr;
    watch.look(fitted.data(), placement, from.x, why);
    Post post;
    post.prepare(manifest, picture.width, picture.height);
    post.place(placement);
    std::vector<std::uint64_t> areas(3);
    std::vector<edgeseg_object> objects(4);
    for (const std::uint32_t at : {EDGESEG_MASK_NETWORK, EDGESEG_MASK_FRAME}) {
        const bool at_frame = at == EDGESEG_MASK_FRAME;
        const std::size_t width = at_frame ? frame.width : network_width, height = at_frame ? frame.height : network_height;
        const std::unique_ptr<std::uint8_t[]> mask(new std::uint8_t[width * height]);
        if (at_frame) {
            post.mask_frame(fitted.data(), manifest.classes, mask.get(), width);
        } else {
            post.mask_network(fitted.data(), manifest.classes, mask.get(), width);
        }
        post.measure(mask.get(), width, at, areas.data(), objects.data(), 4);
        if (areas[0] + areas[1] + areas[2] != width * height) __builtin_trap();
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Descriptor from{};
    std::memcpy(&from, data, std::min(size, sizeof from));
    edgeseg_frame frame{};
    frame.struct_size = sizeof frame;
    frame.format = from.format;
    frame.color = from.color;
    frame.width = from.width;
    frame.height = from.height;
    frame.stride[0] = from.stride[0];
    frame.stride[1] = from.stride[1];
    frame.roi = {from.x, from.y, from.roi_width, from.roi_height};
    try {
        use(frame, from);
    } catch (const Error&) {
    }
    return 0;
}
