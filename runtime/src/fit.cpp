#include "fit.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace edgeseg {
namespace {

std::int16_t weight(float share) { return static_cast<std::int16_t>(std::lrintf(share * 2048.0F)); }

}  // namespace

void Axis::plan(int source, int target, bool may_halve) {
    halve = may_halve && source > 2 * target;
    count = halve ? 2 * target : target;
    first.resize(static_cast<std::size_t>(count));
    fraction.resize(static_cast<std::size_t>(count));
    const double scale = 1.0 / (static_cast<double>(count) / source);
    for (int i = 0; i < count; ++i) {
        const float at = static_cast<float>((i + 0.5) * scale - 0.5);
        const int floor = static_cast<int>(std::floor(at));
        first[static_cast<std::size_t>(i)] = floor;
        fraction[static_cast<std::size_t>(i)] = at - static_cast<float>(floor);
    }
}

void make_taps(const Axis& axis, int source, int bytes_per_pixel, bool room_left, std::vector<Tap>& out) {
    out.resize(static_cast<std::size_t>(axis.count));
    for (std::size_t i = 0; i < out.size(); ++i) {
        const int at = axis.first[i];
        const float share = axis.fraction[i];
        Tap& tap = out[i];
        if (at < 0) {
            tap = {0, 2048, 0};
        } else if (at < source - 1) {
            tap = {at * bytes_per_pixel, weight(1.0F - share), weight(share)};
        } else {  // the last pixel, read as the second of its pair
            tap = {(source - 2) * bytes_per_pixel, 0, 2048};
        }
        if (source == 1) tap = room_left ? Tap{-bytes_per_pixel, 0, 2048} : Tap{0, 2048, 0};
    }
}

RowWeights row_weights(const Axis& axis, int at, int source) noexcept {
    const int row = axis.first[static_cast<std::size_t>(at)];
    const float share = axis.fraction[static_cast<std::size_t>(at)];
    return {std::clamp(row, 0, source - 1), std::clamp(row + 1, 0, source - 1), weight(1.0F - share), weight(share)};
}

void Fitter::prepare(int frame_width, int network_width, int network_height) {
    network_width_ = network_width;
    network_height_ = network_height;
    const auto most_x = static_cast<std::size_t>(2 * network_width), most_y = static_cast<std::size_t>(2 * network_height);
    x_.first.reserve(most_x);
    x_.fraction.reserve(most_x);
    y_.first.reserve(most_y);
    y_.fraction.reserve(most_y);
    taps_.reserve(most_x);
    reader_.prepare(frame_width);
    for (auto& row : rows_) row.assign(4 * most_x, 0);
    for (auto& row : blended_) row.assign(4 * most_x, 0);
    scratch_.assign(4 * static_cast<std::size_t>(network_width), 0);
    placement_ = {};
}

void Fitter::place(const Placement& placement, std::uint32_t format) {
    placement_ = placement;
    channels_ = RowReader::channels(format);
    x_.plan(placement.source.width, placement.target.width, true);
    y_.plan(placement.source.height, placement.target.height, true);
    make_taps(x_, placement.source.width, channels_, placement.source.left > 0, taps_);
}

// The horizontally scaled source row `y`. Two are held; `keep` is the one that must not be dropped.
const std::int16_t* Fitter::scaled_row(const Picture& picture, int y, int keep) {
    for (int i = 0; i < 2; ++i) {
        if (held_[i] == y) return rows_[i].data();
    }
    const int slot = held_[0] == keep ? 1 : 0;
    held_[slot] = y;
    const Box& source = placement_.source;
    const std::uint8_t* row = reader_.row(picture, source.top + y);
    const std::uint8_t* start = row + static_cast<std::ptrdiff_t>(source.left) * channels_;
    if (channels_ == 3) {
        kernels().horizontal3(start, row + static_cast<std::ptrdiff_t>(picture.width) * 3, taps_.data(), x_.count, rows_[slot].data());
    } else {
        kernels().horizontal1(start, taps_.data(), x_.count, rows_[slot].data());
    }
    return rows_[slot].data();
}

void Fitter::run(const Picture& picture, std::uint8_t pad_value, std::uint8_t* out) {
    const Kernels& kernel = kernels();
    const Box &source = placement_.source, &target = placement_.target;
    const auto row_bytes = static_cast<std::size_t>(network_width_) * 3;
    if (target.width != network_width_ || target.height != network_height_) {
        std::memset(out, pad_value, row_bytes * static_cast<std::size_t>(network_height_));
    }
    held_[0] = held_[1] = -1;
    const bool swap = picture.format == EDGESEG_RGB;
    const bool copy = picture.format == EDGESEG_BGR && source.width == target.width && source.height == target.height;
    const int lanes = channels_ == 3 ? 4 : 1;
    for (int y = 0; y < target.height; ++y) {
        std::uint8_t* to = out + static_cast<std::size_t>(target.top + y) * row_bytes + static_cast<std::size_t>(target.left) * 3;
        if (copy) {
            const std::uint8_t* from = reader_.row(picture, source.top + y) + static_cast<std::ptrdiff_t>(source.left) * 3;
            std::memcpy(to, from, static_cast<std::size_t>(target.width) * 3);
            continue;
        }
        const int passes = y_.halve ? 2 : 1;
        for (int pass = 0; pass < passes; ++pass) {
            const RowWeights rows = row_weights(y_, passes * y + pass, source.height);
            const std::int16_t* first = scaled_row(picture, rows.first, rows.second);
            const std::int16_t* second = scaled_row(picture, rows.second, rows.first);
            kernel.vertical(first, second, rows.wa, rows.wb, lanes * x_.count, blended_[pass].data());
        }
        const std::int16_t* other = y_.halve ? blended_[1].data() : nullptr;
        if (channels_ == 3) {
            kernel.finish3(blended_[0].data(), other, x_.halve, swap, target.width, scratch_.data(), to);
        } else {
            kernel.finish1(blended_[0].data(), other, x_.halve, target.width, to);
        }
    }
}

}  // namespace edgeseg
