#include "post.hpp"

#include <algorithm>
#include <cstring>

namespace edgeseg {
namespace {

// The channel with the highest value among those that reach their threshold, ties to the lower, else 0.
void classify_row(const std::uint8_t* __restrict values, std::size_t channel_stride, const std::vector<Class>& classes, int width,
                  std::uint8_t* __restrict best, std::uint8_t* __restrict mask) {
    const std::uint8_t first = classes[1].threshold;
    for (int x = 0; x < width; ++x) mask[x] = values[x] >= first ? 1 : 0;
    if (classes.size() == 2) return;
    for (int x = 0; x < width; ++x) best[x] = mask[x] != 0 ? values[x] : 0;
    for (std::size_t i = 2; i < classes.size(); ++i) {
        const std::uint8_t* channel = values + (i - 1) * channel_stride;
        const std::uint8_t threshold = classes[i].threshold;
        const auto index = static_cast<std::uint8_t>(i);
        for (int x = 0; x < width; ++x) {
            const bool wins = channel[x] >= threshold && channel[x] > best[x];
            mask[x] = wins ? index : mask[x];
            best[x] = wins ? channel[x] : best[x];
        }
    }
}

}  // namespace

void Post::prepare(const Manifest& manifest, int frame_width, int frame_height) {
    width_ = manifest.width;
    height_ = manifest.height;
    channels_ = manifest.channels();
    frame_width_ = frame_width;
    frame_height_ = frame_height;
    min_area_ = manifest.min_area;
    smoothing_ = manifest.smoothing;
    nearest_ = manifest.upsample_nearest;
    const auto channels = static_cast<std::size_t>(channels_);
    const auto longest = static_cast<std::size_t>(std::max(width_, frame_width));
    const auto tallest = static_cast<std::size_t>(std::max(height_, frame_height));
    x_.first.reserve(longest);
    x_.fraction.reserve(longest);
    y_.first.reserve(tallest);
    y_.fraction.reserve(tallest);
    taps_.reserve(longest);
    held_.resize(2 * channels);
    for (Held& held : held_) held.row.assign(longest, 0);
    values_.assign(channels * longest, 0);
    best_.assign(longest, 0);
    if (smoothing_ > 0.0) {
        const std::size_t count = channels * static_cast<std::size_t>(width_) * static_cast<std::size_t>(height_);
        state_.assign(count, 0.0F);
        smoothed_.assign(count, 0);
    }
    own_mask_.reset(new std::uint8_t[longest * tallest]);
    components_.prepare(static_cast<int>(longest), static_cast<int>(tallest), channels_ == 1);
    placement_ = {};
    forget();
}

void Post::place(const Placement& placement) {
    placement_ = placement;
    x_.plan(placement.target.width, placement.source.width, false);
    y_.plan(placement.target.height, placement.source.height, false);
    make_taps(x_, placement.target.width, 1, placement.target.left > 0, taps_);
}

void Post::forget() { has_state_ = false; }

const std::uint8_t* Post::smooth(const std::uint8_t* probability) {
    if (smoothing_ <= 0.0) return probability;
    const auto past = static_cast<float>(smoothing_), present = static_cast<float>(1.0 - smoothing_);
    for (std::size_t i = 0; i < state_.size(); ++i) {
        const auto value = static_cast<float>(probability[i]);
        state_[i] = has_state_ ? past * state_[i] + present * value : value;
        smoothed_[i] = static_cast<std::uint8_t>(state_[i] + 0.5F);
    }
    has_state_ = true;
    return smoothed_.data();
}

bool Post::all_positive(const std::uint8_t* probability, const std::vector<Class>& classes) const {
    const auto plane = static_cast<std::size_t>(width_) * static_cast<std::size_t>(height_);
    // The border of a padded frame too: a close-up may fill the picture, only a broken engine fills what is none.
    for (std::size_t at = 0; at < plane; ++at) {
        bool positive = false;
        for (std::size_t i = 1; i < classes.size() && !positive; ++i) positive = probability[(i - 1) * plane + at] >= classes[i].threshold;
        if (!positive) return false;  // after the first pixels, nearly always
    }
    return true;
}

void Post::mask_network(const std::uint8_t* probability, const std::vector<Class>& classes, std::uint8_t* mask, std::size_t stride) {
    const Box& target = placement_.target;
    const auto plane = static_cast<std::size_t>(width_) * static_cast<std::size_t>(height_);
    for (int y = 0; y < height_; ++y) {
        std::uint8_t* row = mask + static_cast<std::size_t>(y) * stride;
        if (y < target.top || y >= target.top + target.height) {
            std::memset(row, 0, static_cast<std::size_t>(width_));
            continue;
        }
        const auto left = static_cast<std::size_t>(target.left), right = left + static_cast<std::size_t>(target.width);
        std::memset(row, 0, left);
        const std::uint8_t* values = probability + static_cast<std::size_t>(y) * static_cast<std::size_t>(width_) + left;
        classify_row(values, plane, classes, target.width, best_.data(), row + left);
        std::memset(row + right, 0, static_cast<std::size_t>(width_) - right);
    }
}

// One row of one channel at the region's size in the frame.
void Post::upsample_row(const std::uint8_t* probability, int channel, int y, std::uint8_t* out) {
    const Box &target = placement_.target, &source = placement_.source;
    const std::uint8_t* plane = probability + static_cast<std::size_t>(channel) * static_cast<std::size_t>(width_) * static_cast<std::size_t>(height_);
    const auto row_of = [&](int row) { return plane + static_cast<std::size_t>(target.top + row) * static_cast<std::size_t>(width_) + target.left; };
    if (nearest_) {
        const double step_x = 1.0 / (static_cast<double>(source.width) / target.width), step_y = 1.0 / (static_cast<double>(source.height) / target.height);
        const std::uint8_t* row = row_of(std::min(static_cast<int>(y * step_y), target.height - 1));
        for (int x = 0; x < source.width; ++x) out[x] = row[std::min(static_cast<int>(x * step_x), target.width - 1)];
        return;
    }
    Held* const held = &held_[2 * static_cast<std::size_t>(channel)];
    const RowWeights rows = row_weights(y_, y, target.height);
    const auto scaled = [&](int row, int keep) {
        for (int i = 0; i < 2; ++i) {
            if (held[i].y == row) return static_cast<const std::int16_t*>(held[i].row.data());
        }
        Held& slot = held[held[0].y == keep ? 1 : 0];
        slot.y = row;
        kernels().horizontal1(row_of(row), taps_.data(), x_.count, slot.row.data());
        return static_cast<const std::int16_t*>(slot.row.data());
    };
    const std::int16_t* first = scaled(rows.first, rows.second);
    const std::int16_t* second = scaled(rows.second, rows.first);
    kernels().vertical_bytes(first, second, rows.wa, rows.wb, x_.count, out);
}

void Post::mask_frame(const std::uint8_t* probability, const std::vector<Class>& classes, std::uint8_t* mask, std::size_t stride) {
    const Box& source = placement_.source;
    for (Held& held : held_) held.y = -1;
    const auto channel_stride = static_cast<std::size_t>(source.width);
    for (int y = 0; y < frame_height_; ++y) {
        std::uint8_t* row = mask + static_cast<std::size_t>(y) * stride;
        if (y < source.top || y >= source.top + source.height) {
            std::memset(row, 0, static_cast<std::size_t>(frame_width_));
            continue;
        }
        for (int channel = 0; channel < channels_; ++channel) {
            upsample_row(probability, channel, y - source.top, values_.data() + static_cast<std::size_t>(channel) * channel_stride);
        }
        const auto left = static_cast<std::size_t>(source.left), right = left + channel_stride;
        std::memset(row, 0, left);
        classify_row(values_.data(), channel_stride, classes, source.width, best_.data(), row + left);
        std::memset(row + right, 0, static_cast<std::size_t>(frame_width_) - right);
    }
}

// A component's box in frame pixels; from network pixels it is the smallest box that holds what they cover.
edgeseg_rect Post::frame_box(const Component& component, std::uint32_t mask_at) const {
    if (mask_at == EDGESEG_MASK_FRAME) {
        return {component.left, component.top, component.right - component.left, component.bottom - component.top};
    }
    const Box &target = placement_.target, &source = placement_.source;
    const auto down = [](int value, int from, int to) { return static_cast<int>(std::int64_t{value} * to / from); };
    const auto up = [](int value, int from, int to) { return static_cast<int>((std::int64_t{value} * to + from - 1) / from); };
    const int left = down(component.left - target.left, target.width, source.width), top = down(component.top - target.top, target.height, source.height);
    const int right = up(component.right - target.left, target.width, source.width), bottom = up(component.bottom - target.top, target.height, source.height);
    return {source.left + left, source.top + top, right - left, bottom - top};
}

std::uint32_t Post::measure(std::uint8_t* mask, std::size_t stride, std::uint32_t mask_at, std::uint64_t* areas, edgeseg_object* objects,
                            std::uint32_t capacity) {
    const bool at_frame = mask_at == EDGESEG_MASK_FRAME;
    const Box& region = at_frame ? placement_.source : placement_.target;
    const std::uint64_t pixels = at_frame ? static_cast<std::uint64_t>(frame_width_) * static_cast<std::uint64_t>(frame_height_)
                                          : static_cast<std::uint64_t>(width_) * static_cast<std::uint64_t>(height_);
    std::fill(areas, areas + channels_ + 1, 0U);
    areas[0] = pixels;
    std::size_t found = components_.label(mask, stride, region);
    for (std::size_t i = 0; i < found; ++i) {
        const Component& component = components_.begin()[i];
        areas[component.class_index] += component.area;
        areas[0] -= component.area;
    }
    if (min_area_ > 0.0) found = components_.drop(mask, stride, min_area_, areas);
    const std::size_t written = std::min<std::size_t>(found, capacity);
    components_.sort(written);
    for (std::size_t i = 0; i < written; ++i) {
        const Component& component = components_.begin()[i];
        objects[i] = {component.class_index, frame_box(component, mask_at), component.area};
    }
    return static_cast<std::uint32_t>(found);
}

}  // namespace edgeseg
