#include "signal.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace edgeseg {
namespace {

constexpr int black_level = 16, white_level = 239, one_color_distance = 2;
constexpr double share = 0.99;
constexpr double noise_deviation = 8.0;    // grey levels; a dark, even picture is noise too, but a picture
constexpr double noise_correlation = 0.3;  // of pixels that share no source pixel; 0.9 and more in pictures
constexpr int smallest_side = 32;  // fitted pixels; below, chance decides
constexpr std::int64_t frozen_ns = 600'000'000;  // as edgeseg/stream/live/state.py: said within a second at any frame rate
constexpr int row_step = 4;  // every fourth row is enough for shares of 1 %

struct Region {
    const std::uint8_t* first;
    int width, height;
    std::ptrdiff_t stride;

    const std::uint8_t* row(int y) const { return first + y * stride; }
    int rows() const { return (height + row_step - 1) / row_step; }
};

// Whether at most 1 % of the pixels lie outside of [low, high], channel by channel. Pictures leave in their first rows.
bool within(const Region& region, const int (&low)[3], const int (&high)[3]) {
    const std::int64_t pixels = std::int64_t{region.rows()} * region.width;
    const auto allowed = static_cast<std::int64_t>(static_cast<double>(pixels) * (1.0 - share));
    std::int64_t outside = 0;
    for (int y = 0; y < region.height && outside <= allowed; y += row_step) {
        const std::uint8_t* row = region.row(y);
        for (int x = 0; x < region.width; ++x) {
            bool inside = true;
            for (int c = 0; c < 3; ++c) inside = inside && row[3 * x + c] >= low[c] && row[3 * x + c] <= high[c];
            outside += !inside;
        }
    }
    return outside <= allowed;
}

const char* flat(const Region& region) {
    if (within(region, {0, 0, 0}, {black_level, black_level, black_level})) return "the picture is black";
    if (within(region, {white_level, white_level, white_level}, {255, 255, 255})) return "the picture is white";
    constexpr int column_step = 8;  // for the mean, which a few pixels give well enough
    int sum[3] = {0, 0, 0}, count = 0;
    for (int y = 0; y < region.height; y += row_step) {
        const std::uint8_t* row = region.row(y);
        for (int x = 0; x < region.width; x += column_step, ++count) {
            for (int c = 0; c < 3; ++c) sum[c] += row[3 * x + c];
        }
    }
    int low[3], high[3];
    for (int c = 0; c < 3; ++c) {
        const int mean = (sum[c] + count / 2) / count;
        low[c] = mean - one_color_distance;
        high[c] = mean + one_color_distance;
    }
    return within(region, low, high) ? "the picture is of one colour" : nullptr;
}

// Correlation of green with itself `lag` pixels on, across and down.
const char* noise(const Region& region, int lag) {
    if (region.width < smallest_side + lag || region.height < smallest_side + lag) return nullptr;
    double sum = 0, squares = 0, across = 0, down = 0;
    std::int64_t count = 0;
    for (int y = 0; y + lag < region.height; y += 2 * row_step) {
        const std::uint8_t *row = region.row(y) + 1, *below = region.row(y + lag) + 1;
        std::int64_t here = 0, square = 0, right = 0, under = 0;
        for (int x = 0; x + lag < region.width; ++x) {
            const int value = row[3 * x], dx = row[3 * (x + lag)] - value, dy = below[3 * x] - value;
            here += value;
            square += value * value;
            right += dx * dx;
            under += dy * dy;
        }
        sum += static_cast<double>(here);
        squares += static_cast<double>(square);
        across += static_cast<double>(right);
        down += static_cast<double>(under);
        count += region.width - lag;
    }
    const double n = static_cast<double>(count), mean = sum / n, variance = squares / n - mean * mean;
    if (variance < noise_deviation * noise_deviation) return nullptr;
    // For a stationary signal the mean squared difference is 2 variance (1 - correlation).
    const double least = 2.0 * variance * (1.0 - noise_correlation);
    return across / n > least && down / n > least ? "the picture is noise" : nullptr;
}

// Fitted pixels further apart than this share no source pixel: bilinear reads 2, the mean another 2.
int independent_lag(const Placement& placement) {
    const double x = static_cast<double>(placement.target.width) / placement.source.width;
    const double y = static_cast<double>(placement.target.height) / placement.source.height;
    return 1 + static_cast<int>(std::ceil(2.0 * std::max(x, y)));
}

}  // namespace

void SignalWatch::prepare(int network_height, int network_width) {
    width_ = network_width;
    reference_.assign(static_cast<std::size_t>(network_height) * static_cast<std::size_t>(network_width) * 3, 0);
    has_reference_ = false;
}

bool SignalWatch::frozen(const std::uint8_t* fitted, std::int64_t captured_ns) {
    const std::uint64_t changed = has_reference_ ? kernels().count_changed(fitted, reference_.data(), reference_.size()) : reference_.size();
    if (changed * 1000 > reference_.size() || captured_ns < reference_ns_) {
        std::memcpy(reference_.data(), fitted, reference_.size());
        reference_ns_ = captured_ns;
        has_reference_ = true;
        return false;
    }
    // Unsigned: the clock may start anywhere, so the difference may not fit a signed one.
    return static_cast<std::uint64_t>(captured_ns) - static_cast<std::uint64_t>(reference_ns_) >= static_cast<std::uint64_t>(frozen_ns);
}

std::int32_t SignalWatch::look(const std::uint8_t* fitted, const Placement& placement, std::int64_t captured_ns, const char*& why) {
    const bool still = frozen(fitted, captured_ns);
    const Box& target = placement.target;
    const std::ptrdiff_t stride = std::ptrdiff_t{width_} * 3;
    const Region region{fitted + target.top * stride + std::ptrdiff_t{target.left} * 3, target.width, target.height, stride};
    why = flat(region);
    if (why == nullptr) why = noise(region, independent_lag(placement));
    if (why != nullptr) return EDGESEG_NO_SIGNAL;
    if (still) why = "the picture has not changed for 0.6 s";
    return still ? EDGESEG_FROZEN : EDGESEG_LIVE;
}

}  // namespace edgeseg
