// Where a frame goes in the network's input: integers and doubles as in edgeseg/fit.py, so that both agree to the pixel.
#include <algorithm>

#include "fit.hpp"

namespace edgeseg {
namespace {

// The largest centred part with the network's aspect.
Box crop(Box box, int height, int width) {
    if (std::int64_t{box.width} * height > std::int64_t{box.height} * width) {
        const int part = std::max(1, static_cast<int>(static_cast<double>(std::int64_t{box.height} * width) / height + 0.5));
        return {box.left + (box.width - part) / 2, box.top, part, box.height};
    }
    const int part = std::max(1, static_cast<int>(static_cast<double>(std::int64_t{box.width} * height) / width + 0.5));
    return {box.left, box.top + (box.height - part) / 2, box.width, part};
}

void target_size(const Fit& fit, Box box, int height, int width, int& to_height, int& to_width) {
    if (fit.mode == Fit::Mode::resize) {
        to_height = fit.enlarge ? height : std::min(height, box.height);
        to_width = fit.enlarge ? width : std::min(width, box.width);
        return;
    }
    double scale = std::min(static_cast<double>(height) / box.height, static_cast<double>(width) / box.width);
    if (fit.mode == Fit::Mode::crop && (fit.enlarge || scale <= 1.0)) {
        to_height = height;
        to_width = width;
        return;
    }
    if (!fit.enlarge) scale = std::min(scale, 1.0);
    to_height = std::min(height, std::max(1, static_cast<int>(scale * box.height + 0.5)));
    to_width = std::min(width, std::max(1, static_cast<int>(scale * box.width + 0.5)));
}

struct Run {
    int start = 0, length = 0;
};

// The first of the longest runs of counts that reach 1/32 of `of`.
template <typename Count>
Run longest_run(int items, int of, const Count& count) {
    Run best, run;
    for (int i = 0; i < items; ++i) {
        if (std::int64_t{count(i)} * 32 >= of) {
            if (run.length++ == 0) run.start = i;
            if (run.length > best.length) best = run;
        } else {
            run.length = 0;
        }
    }
    return best;
}

}  // namespace

Placement place(const Fit& fit, int network_height, int network_width, Box box) {
    if (fit.mode == Fit::Mode::crop) box = crop(box, network_height, network_width);
    int height = 0, width = 0;
    target_size(fit, box, network_height, network_width, height, width);
    return {box, {(network_width - width) / 2, (network_height - height) / 2, width, height}};
}

Box content_box(const Picture& picture, int level, RowReader& reader, std::vector<std::uint32_t>& counts) {
    const int width = picture.width, height = picture.height;
    std::uint32_t* columns = counts.data();
    std::uint32_t* rows = counts.data() + width;
    std::fill(counts.begin(), counts.end(), 0U);
    const int channels = RowReader::channels(picture.format);
    for (int y = 0; y < height; ++y) {
        const std::uint8_t* row = reader.row(picture, y);
        std::uint32_t bright_here = 0;
        for (int x = 0; x < width; ++x) {
            const int value = channels == 1 ? row[x] : std::max(std::max(row[3 * x], row[3 * x + 1]), row[3 * x + 2]);
            const std::uint32_t bright = value > level ? 1U : 0U;
            columns[x] += bright;
            bright_here += bright;
        }
        rows[y] = bright_here;
    }
    const Run across = longest_run(width, height, [columns](int i) { return columns[i]; });
    const Run down = longest_run(height, width, [rows](int i) { return rows[i]; });
    if (std::int64_t{across.length} * 4 < width || std::int64_t{down.length} * 4 < height) return {0, 0, width, height};
    return {across.start, down.start, across.length, down.length};
}

}  // namespace edgeseg
