// Frame to network input, the only step on the host: the same rules and, bit for bit, the same arithmetic as edgeseg/fit.py.
#pragma once

#include <cstdint>
#include <vector>

#include "edgeseg/edgeseg.h"
#include "kernels.hpp"
#include "manifest.hpp"

namespace edgeseg {

struct Box {
    int left = 0, top = 0, width = 0, height = 0;
    bool operator==(const Box& other) const noexcept {
        return left == other.left && top == other.top && width == other.width && height == other.height;
    }
};

// `source` is the part of the frame that is used, `target` the part of the network's input that it fills; the rest is padding.
struct Placement {
    Box source, target;
    bool operator==(const Placement& other) const noexcept { return source == other.source && target == other.target; }
};

Placement place(const Fit& fit, int network_height, int network_width, Box box);

// A frame that was checked: planes and strides that its format needs, sizes within bounds.
struct Picture {
    std::uint32_t format = EDGESEG_BGR;
    std::uint32_t color = EDGESEG_BT601_LIMITED;
    int width = 0, height = 0;
    const std::uint8_t* plane[2] = {nullptr, nullptr};
    std::size_t stride[2] = {0, 0};
};

// Positions and weights of bilinear samples along one axis, as OpenCV computes them.
struct Axis {
    // The 2x2 mean of an axis that shrinks by more than 2 is `halve`: `count` is then twice the target.
    void plan(int source, int target, bool may_halve);

    bool halve = false;
    int count = 0;
    std::vector<int> first;  // may be -1, and first + 1 may be the size: clamp
    std::vector<float> fraction;
};

// Rows of any format as BGR (or as grey, one channel), NV12 converted as libswscale does.
class RowReader {
public:
    void prepare(int width);
    // `channels` bytes a pixel, valid until the next call.
    const std::uint8_t* row(const Picture& picture, int y);
    static int channels(std::uint32_t format) noexcept { return format == EDGESEG_GREY ? 1 : 3; }

private:
    std::vector<std::uint8_t> line_, planes_;
};

class Fitter {
public:
    // Allocates for frames of this width into a network input of this size; the placement may change without allocating.
    void prepare(int frame_width, int network_width, int network_height);
    void place(const Placement& placement, std::uint32_t format);
    // out: [network_height][network_width][3]. Writes all of it.
    void run(const Picture& picture, std::uint8_t pad_value, std::uint8_t* out);

private:
    const std::int16_t* scaled_row(const Picture& picture, int y, int keep);

    Placement placement_;
    int network_width_ = 0, network_height_ = 0;
    int channels_ = 3;
    Axis x_, y_;
    std::vector<Tap> taps_;
    RowReader reader_;
    std::vector<std::int16_t> rows_[2], blended_[2];
    int held_[2] = {-1, -1};  // which source rows rows_ hold
    std::vector<std::uint8_t> scratch_;
};

// The longest run of rows and of columns that show something (contract, "Fit"). counts: scratch of width + height items.
Box content_box(const Picture& picture, int level, RowReader& reader, std::vector<std::uint32_t>& counts);

// Taps into a row. room_left: a pixel left of the first may be read, which a source of width 1 at a row's end needs.
void make_taps(const Axis& axis, int source, int bytes_per_pixel, bool room_left, std::vector<Tap>& out);
struct RowWeights {
    int first, second;  // clamped rows
    std::int16_t wa, wb;
};
RowWeights row_weights(const Axis& axis, int at, int source) noexcept;

}  // namespace edgeseg
