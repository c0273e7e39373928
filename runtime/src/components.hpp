// 8-connected components of a class mask: area and box of each, without a label image.
#pragma once

#include <cstdint>
#include <memory>

#include "edgeseg/edgeseg.h"
#include "fit.hpp"

namespace edgeseg {

struct Component {
    std::uint64_t area;
    int left, top, right, bottom;  // right and bottom are one past
    std::uint32_t class_index;
};

class Components {
public:
    // For masks of up to this many pixels; with one class, runs of it need a gap between them.
    void prepare(int width, int height, bool one_class);
    // Labels `region` of the mask. Returns how many components there are.
    std::size_t label(const std::uint8_t* mask, std::size_t stride, const Box& region);
    // Sets to 0 the components smaller than `share` of their class's pixels (counted into `areas`, by class). Returns how many are left.
    std::size_t drop(std::uint8_t* mask, std::size_t stride, double share, std::uint64_t* areas);
    // Moves the largest `most` to the front, largest first.
    void sort(std::size_t most);
    const Component* begin() const noexcept { return components_.get(); }

private:
    struct Span {
        std::uint32_t parent;
        std::int32_t y, first, last;  // last is one past
    };

    std::uint32_t root(std::uint32_t span) noexcept;
    void join(std::uint32_t a, std::uint32_t b) noexcept;

    // Worst-case room, left uninitialised: pages that no mask needs are never touched.
    std::unique_ptr<Span[]> spans_;
    std::unique_ptr<Component[]> components_;
    std::unique_ptr<std::uint32_t[]> component_of_;
    std::size_t span_count_ = 0, component_count_ = 0;
};

}  // namespace edgeseg
