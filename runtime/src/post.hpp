// Probability to mask: back through the fit, threshold, classes, components (contract, "Back").
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "components.hpp"
#include "fit.hpp"
#include "manifest.hpp"

namespace edgeseg {

class Post {
public:
    void prepare(const Manifest& manifest, int frame_width, int frame_height);
    void place(const Placement& placement);
    void forget();  // the smoothed past

    // Smoothed in place of the engine's: state = s * state + (1 - s) * new. Returns what to use, [channels][height][width].
    const std::uint8_t* smooth(const std::uint8_t* probability);
    // Whether every pixel of the region has a class, as no picture of ours has and NaN does.
    bool all_positive(const std::uint8_t* probability, const std::vector<Class>& classes) const;
    // Fills a mask of network or frame size; all of it is written, 0 outside the region.
    void mask_network(const std::uint8_t* probability, const std::vector<Class>& classes, std::uint8_t* mask, std::size_t stride);
    void mask_frame(const std::uint8_t* probability, const std::vector<Class>& classes, std::uint8_t* mask, std::size_t stride);
    // Areas by class (one per class), components below min_area dropped from the mask; returns how many objects there are and writes the
    // largest `capacity`.
    std::uint32_t measure(std::uint8_t* mask, std::size_t stride, std::uint32_t mask_at, std::uint64_t* areas, edgeseg_object* objects,
                          std::uint32_t capacity);
    // A mask for callers who want only objects or areas.
    std::uint8_t* own_mask() noexcept { return own_mask_.get(); }

private:
    void upsample_row(const std::uint8_t* probability, int channel, int y, std::uint8_t* out);
    edgeseg_rect frame_box(const Component& component, std::uint32_t mask_at) const;

    int width_ = 0, height_ = 0, channels_ = 0, frame_width_ = 0, frame_height_ = 0;
    double min_area_ = 0.0, smoothing_ = 0.0;
    bool nearest_ = false;
    Placement placement_;
    Axis x_, y_;
    std::vector<Tap> taps_;
    struct Held {
        std::vector<std::int16_t> row;
        int y = -1;
    };
    std::vector<Held> held_;  // two a channel
    std::vector<std::uint8_t> values_, best_;
    std::vector<float> state_;
    std::vector<std::uint8_t> smoothed_;
    bool has_state_ = false;
    std::unique_ptr<std::uint8_t[]> own_mask_;
    Components components_;
};

}  // namespace edgeseg
