#include "components.hpp"

#include <algorithm>
#include <cstring>
#include <tuple>

namespace edgeseg {
namespace {

// Largest first; equals by their boxes, as Python sorts them.
bool before(const Component& a, const Component& b) {
    if (a.area != b.area) return a.area > b.area;
    return std::tie(a.left, a.top, a.right, a.bottom, a.class_index) < std::tie(b.left, b.top, b.right, b.bottom, b.class_index);
}

// First pixel from x on that is not background; most of most masks is background, so 8 at a time.
int skip_background(const std::uint8_t* row, int x, int end) {
    for (; x + 8 <= end; x += 8) {
        std::uint64_t word;
        std::memcpy(&word, row + x, sizeof word);
        if (word != 0) break;
    }
    while (x < end && row[x] == 0) ++x;
    return x;
}

}  // namespace

void Components::prepare(int width, int height, bool one_class) {
    const std::size_t in_row = one_class ? static_cast<std::size_t>(width + 1) / 2 : static_cast<std::size_t>(width);
    const std::size_t most = in_row * static_cast<std::size_t>(height);
    // Of one class, no two components can share a 2x2 block: their pixels would touch.
    const std::size_t in_column = one_class ? static_cast<std::size_t>(height + 1) / 2 : static_cast<std::size_t>(height);
    spans_.reset(new Span[most]);
    components_.reset(new Component[in_row * in_column]);
    component_of_.reset(new std::uint32_t[most]);
}

std::uint32_t Components::root(std::uint32_t span) noexcept {
    while (spans_[span].parent != span) {
        spans_[span].parent = spans_[spans_[span].parent].parent;
        span = spans_[span].parent;
    }
    return span;
}

void Components::join(std::uint32_t a, std::uint32_t b) noexcept {
    a = root(a);
    b = root(b);
    // The lower number stays root, so a component's root is the span of its first pixel.
    if (a < b) spans_[b].parent = a;
    if (b < a) spans_[a].parent = b;
}

std::size_t Components::label(const std::uint8_t* mask, std::size_t stride, const Box& region) {
    span_count_ = component_count_ = 0;
    std::size_t above = 0;  // first span of the row above
    const int end = region.left + region.width;
    for (int y = region.top; y < region.top + region.height; ++y) {
        const std::uint8_t* row = mask + static_cast<std::size_t>(y) * stride;
        const std::uint8_t* upper = y > region.top ? row - stride : row;
        const std::size_t row_start = span_count_;
        std::size_t candidate = above;
        for (int x = skip_background(row, region.left, end); x < end; x = skip_background(row, x, end)) {
            const std::uint8_t value = row[x];
            const int first = x;
            while (x < end && row[x] == value) ++x;
            const auto number = static_cast<std::uint32_t>(span_count_);
            spans_[span_count_++] = {number, y, first, x};
            // Spans above that end before this one's left neighbour can touch no later span either.
            while (candidate < row_start && spans_[candidate].last < first) ++candidate;
            for (std::size_t i = candidate; i < row_start && spans_[i].first <= x; ++i) {
                if (upper[spans_[i].first] == value) join(static_cast<std::uint32_t>(i), number);
            }
        }
        above = row_start;
    }
    for (std::uint32_t i = 0; i < span_count_; ++i) {
        const Span& span = spans_[i];
        const std::uint32_t top = root(i);
        const auto area = static_cast<std::uint64_t>(span.last - span.first);
        if (top == i) {  // comes before every other span of its component
            component_of_[i] = static_cast<std::uint32_t>(component_count_);
            const std::uint8_t value = mask[static_cast<std::size_t>(span.y) * stride + static_cast<std::size_t>(span.first)];
            components_[component_count_] = {area, span.first, span.y, span.last, span.y + 1, value};
            ++component_count_;
            continue;
        }
        component_of_[i] = component_of_[top];
        Component& component = components_[component_of_[i]];
        component.area += area;
        component.left = std::min(component.left, span.first);
        component.right = std::max(component.right, span.last);
        component.bottom = span.y + 1;
    }
    return component_count_;
}

std::size_t Components::drop(std::uint8_t* mask, std::size_t stride, double share, std::uint64_t* areas) {
    const auto small = [share](const Component& component, const std::uint64_t total) {
        return static_cast<double>(component.area) < share * static_cast<double>(total);
    };
    std::uint64_t totals[256];
    for (std::size_t i = 0; i < component_count_; ++i) totals[components_[i].class_index] = areas[components_[i].class_index];
    for (std::size_t i = 0; i < span_count_; ++i) {
        const Component& component = components_[component_of_[i]];
        if (!small(component, totals[component.class_index])) continue;
        const Span& span = spans_[i];
        const auto length = static_cast<std::size_t>(span.last - span.first);
        std::memset(mask + static_cast<std::size_t>(span.y) * stride + span.first, 0, length);
        areas[component.class_index] -= length;
        areas[0] += length;
    }
    std::size_t kept = 0;
    for (std::size_t i = 0; i < component_count_; ++i) {
        if (!small(components_[i], totals[components_[i].class_index])) components_[kept++] = components_[i];
    }
    component_count_ = kept;
    return kept;
}

void Components::sort(std::size_t most) {
    Component* const first = components_.get();
    std::partial_sort(first, first + std::min(most, component_count_), first + component_count_, before);
}

}  // namespace edgeseg
