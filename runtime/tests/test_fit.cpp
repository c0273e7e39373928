// The fit against a plain second implementation, the kernels against each other, geometry against the contract's rules.
#include <cmath>
#include <random>

#include "check.hpp"
#include "error.hpp"
#include "fit.hpp"
#include "session.hpp"

using namespace edgeseg;

namespace {

using Bytes = std::vector<std::uint8_t>;

Bytes noise(std::size_t count, unsigned seed) {
    std::mt19937 random(seed);
    Bytes out(count);
    for (auto& value : out) value = static_cast<std::uint8_t>(random());
    return out;
}

// Bilinear in doubles, half-pixel centres, then the 2x2 mean where an axis shrinks by more than 2.
double sample_at(const Bytes& image, int width, int height, double x, double y, int c) {
    x = std::min(std::max(x, 0.0), width - 1.0);
    y = std::min(std::max(y, 0.0), height - 1.0);
    const int x0 = static_cast<int>(x), y0 = static_cast<int>(y), x1 = std::min(x0 + 1, width - 1), y1 = std::min(y0 + 1, height - 1);
    const auto at = [&](int px, int py) { return static_cast<double>(image[static_cast<std::size_t>((py * width + px) * 3 + c)]); };
    const double fx = x - x0, fy = y - y0;
    return (at(x0, y0) * (1 - fx) + at(x1, y0) * fx) * (1 - fy) + (at(x0, y1) * (1 - fx) + at(x1, y1) * fx) * fy;
}

double reference(const Bytes& image, int width, int height, int to_width, int to_height, int x, int y, int c) {
    const int sx = width > 2 * to_width ? 2 : 1, sy = height > 2 * to_height ? 2 : 1;
    double sum = 0;
    for (int dy = 0; dy < sy; ++dy) {
        for (int dx = 0; dx < sx; ++dx) {
            const double at_x = (sx * x + dx + 0.5) * width / (sx * to_width) - 0.5, at_y = (sy * y + dy + 0.5) * height / (sy * to_height) - 0.5;
            sum += sample_at(image, width, height, at_x, at_y, c);
        }
    }
    return sum / (sx * sy);
}

Picture bgr(const Bytes& image, int width, int height) {
    Picture picture;
    picture.width = width;
    picture.height = height;
    picture.plane[0] = image.data();
    picture.stride[0] = static_cast<std::size_t>(width) * 3;
    return picture;
}

Bytes fitted(const Picture& picture, const Placement& placement, int width, int height, std::uint8_t pad = 7) {
    Fitter fitter;
    fitter.prepare(picture.width, width, height);
    fitter.place(placement, picture.format);
    Bytes out(static_cast<std::size_t>(width) * static_cast<std::size_t>(height) * 3);
    fitter.run(picture, pad, out.data());
    return out;
}

constexpr int sizes[][4] = {{64, 48, 64, 48}, {200, 150, 64, 48}, {64, 48, 200, 150}, {129, 97, 64, 48}, {128, 96, 64, 48}, {256, 20, 64, 48},
                            {20, 256, 64, 48}, {640, 360, 96, 54}, {1920, 1080, 384, 216}, {17, 16, 1, 1},  {16, 16, 3, 5},   {16, 1, 5, 4},
                            {2, 300, 7, 8},    {300, 1, 31, 3}};

}  // namespace

TEST(fit_is_bilinear_to_within_one_level) {
    for (const auto& s : sizes) {
        const Bytes image = noise(static_cast<std::size_t>(s[0] * s[1] * 3), 1);
        const Bytes out = fitted(bgr(image, s[0], s[1]), {{0, 0, s[0], s[1]}, {0, 0, s[2], s[3]}}, s[2], s[3]);
        double worst = 0;
        for (int y = 0; y < s[3]; ++y) {
            for (int x = 0; x < s[2]; ++x) {
                for (int c = 0; c < 3; ++c) {
                    const double difference = out[static_cast<std::size_t>((y * s[2] + x) * 3 + c)] - reference(image, s[0], s[1], s[2], s[3], x, y, c);
                    worst = std::max(worst, std::abs(difference));
                }
            }
        }
        EXPECT(worst <= 1.01);
    }
}

TEST(kernels_agree_to_the_bit) {
#ifdef EDGESEG_AVX2
    const Kernels &a = kernels_baseline(), &b = kernels_avx2();
    for (const int width : {16, 17, 31, 64, 250, 1920}) {
        const auto n = static_cast<std::size_t>(width);
        const Bytes image = noise(n * 3, 2), chroma = noise(n * 2, 3);
        for (const int count : {1, 3, 4, 7, 40, 333}) {
            Axis axis;
            axis.plan(width, count, true);
            std::vector<Tap> taps;
            make_taps(axis, width, 3, false, taps);
            const auto lanes = static_cast<std::size_t>(axis.count) * 4;
            std::vector<std::int16_t> row[2] = {std::vector<std::int16_t>(lanes), std::vector<std::int16_t>(lanes)};
            a.horizontal3(image.data(), image.data() + image.size(), taps.data(), axis.count, row[0].data());
            b.horizontal3(image.data(), image.data() + image.size(), taps.data(), axis.count, row[1].data());
            EXPECT(row[0] == row[1]);
            std::vector<std::int16_t> out[2] = {row[0], row[0]};
            a.vertical(row[0].data(), row[1].data(), 700, 1348, static_cast<int>(lanes), out[0].data());
            b.vertical(row[0].data(), row[1].data(), 700, 1348, static_cast<int>(lanes), out[1].data());
            EXPECT(out[0] == out[1]);
            for (const bool swap : {false, true}) {
                for (const std::int16_t* second : {static_cast<const std::int16_t*>(nullptr), static_cast<const std::int16_t*>(out[0].data())}) {
                    const auto pixels = static_cast<std::size_t>(count);
                    Bytes scratch(pixels * 4), packed[2] = {Bytes(pixels * 3), Bytes(pixels * 3)};
                    a.finish3(out[0].data(), second, axis.halve, swap, count, scratch.data(), packed[0].data());
                    b.finish3(out[0].data(), second, axis.halve, swap, count, scratch.data(), packed[1].data());
                    EXPECT(packed[0] == packed[1]);
                }
            }
        }
        const int even = width & ~1;
        const auto pixels = static_cast<std::size_t>(even);
        Bytes planes(pixels * 3), converted[2] = {Bytes(pixels * 3), Bytes(pixels * 3)};
        const Yuv yuv{9539, 16, 13075, 16525, -3209, -6660};
        a.nv12_row(image.data(), chroma.data(), chroma.data() + n, yuv, even, planes.data(), converted[0].data());
        b.nv12_row(image.data(), chroma.data(), chroma.data() + n, yuv, even, planes.data(), converted[1].data());
        EXPECT(converted[0] == converted[1]);
        EXPECT_EQ(a.count_changed(image.data(), chroma.data(), n * 2), b.count_changed(image.data(), chroma.data(), n * 2));
    }
#endif
}

TEST(strides_and_regions_do_not_change_pixels) {
    const int width = 50, height = 40;
    const Bytes image = noise(static_cast<std::size_t>(width * height * 3), 4);
    const Box region{7, 5, 33, 29};
    Bytes cut;
    for (int y = 0; y < region.height; ++y) {
        const std::uint8_t* row = image.data() + ((region.top + y) * width + region.left) * 3;
        cut.insert(cut.end(), row, row + region.width * 3);
    }
    const Box target{2, 1, 20, 18};
    const Bytes from_region = fitted(bgr(image, width, height), {region, target}, 24, 20);
    EXPECT(from_region == fitted(bgr(cut, region.width, region.height), {{0, 0, region.width, region.height}, target}, 24, 20));
    EXPECT_EQ(int{from_region[0]}, 7);  // padding
    EXPECT_EQ(int{from_region.back()}, 7);
}

TEST(padded_rows_are_skipped) {
    constexpr std::size_t width = 38, height = 26, padding = 13;
    for (const std::uint32_t format : {EDGESEG_BGR, EDGESEG_RGB, EDGESEG_GREY, EDGESEG_NV12}) {
        const std::size_t row = format == EDGESEG_BGR || format == EDGESEG_RGB ? width * 3 : width;
        const Bytes packed[2] = {noise(row * height, 5), noise(row * height / 2, 6)};
        Bytes padded[2] = {noise((row + padding) * height, 7), noise((row + padding) * height / 2, 8)};
        for (std::size_t plane = 0; plane < 2; ++plane) {
            for (std::size_t y = 0; y < packed[plane].size() / row; ++y) {
                std::copy_n(packed[plane].data() + y * row, row, padded[plane].data() + y * (row + padding));
            }
        }
        const auto picture = [&](const Bytes (&planes)[2], std::size_t stride) {
            Picture out;
            out.format = format;
            out.width = width;
            out.height = height;
            for (std::size_t i = 0; i < 2; ++i) {
                out.plane[i] = planes[i].data();
                out.stride[i] = stride;
            }
            return out;
        };
        const Placement placement{{3, 1, 31, 25}, {2, 1, 20, 18}};
        EXPECT(fitted(picture(packed, row), placement, 24, 20) == fitted(picture(padded, row + padding), placement, 24, 20));
    }
}

// Rows end where memory ends: the address sanitizer sees a read beyond. Regions touch each edge, down to one pixel.
TEST(nothing_beyond_the_frame_is_read) {
    for (const int width : {16, 18, 22}) {
        for (const std::uint32_t format : {EDGESEG_BGR, EDGESEG_GREY, EDGESEG_NV12}) {
            const std::size_t bytes = format == EDGESEG_BGR ? 3 : 1;
            const std::unique_ptr<std::uint8_t[]> plane(new std::uint8_t[static_cast<std::size_t>(width) * 16 * bytes]());
            const std::unique_ptr<std::uint8_t[]> chroma(new std::uint8_t[static_cast<std::size_t>(width) * 8]());
            Picture picture;
            picture.format = format;
            picture.width = width;
            picture.height = 16;
            picture.plane[0] = plane.get();
            picture.plane[1] = chroma.get();
            picture.stride[0] = static_cast<std::size_t>(width) * bytes;
            picture.stride[1] = static_cast<std::size_t>(width);
            for (const Box region : {Box{0, 0, width, 16}, Box{width - 1, 15, 1, 1}, Box{0, 0, 1, 1}, Box{width - 3, 10, 3, 6}}) {
                EXPECT_EQ(fitted(picture, {region, {0, 0, 40, 30}}, 40, 30).size(), std::size_t{3600});
            }
        }
    }
}

TEST(placement_follows_the_contract) {
    const auto target = [](Fit::Mode mode, bool enlarge, Box box) {
        Fit fit;
        fit.mode = mode;
        fit.enlarge = enlarge;
        return place(fit, 288, 384, box);
    };
    const Box hd{0, 0, 1920, 1080}, small{0, 0, 100, 101};
    EXPECT((target(Fit::Mode::resize, true, hd) == Placement{hd, {0, 0, 384, 288}}));
    EXPECT((target(Fit::Mode::pad, true, hd) == Placement{hd, {0, 36, 384, 216}}));
    EXPECT((target(Fit::Mode::crop, true, hd) == Placement{{240, 0, 1440, 1080}, {0, 0, 384, 288}}));
    EXPECT((target(Fit::Mode::pad, false, small) == Placement{small, {142, 93, 100, 101}}));
    EXPECT((target(Fit::Mode::pad, true, small) == Placement{small, {49, 0, 285, 288}}));  // the odd pixel right and below
    EXPECT((target(Fit::Mode::resize, false, small) == Placement{small, {142, 93, 100, 101}}));
}

TEST(content_box_is_the_longest_bright_run) {
    const int width = 64, height = 48;
    Bytes image(static_cast<std::size_t>(width * height * 3), 10);
    const auto fill = [&](Box box, std::uint8_t value) {
        for (int y = box.top; y < box.top + box.height; ++y) {
            for (int x = box.left; x < box.left + box.width; ++x) image[static_cast<std::size_t>((y * width + x) * 3 + 1)] = value;
        }
    };
    RowReader reader;
    reader.prepare(width);
    std::vector<std::uint32_t> counts(static_cast<std::size_t>(width + height));
    const auto found = [&](int level) { return content_box(bgr(image, width, height), level, reader, counts); };
    EXPECT((found(24) == Box{0, 0, width, height}));  // nothing bright: the whole frame
    fill({20, 8, 30, 24}, 200);
    fill({2, 40, 4, 4}, 200);  // a logo beside it
    EXPECT((found(24) == Box{20, 8, 30, 24}));
    EXPECT((found(200) == Box{0, 0, width, height}));  // brighter than the level, not as bright
    EXPECT((found(199) == Box{20, 8, 30, 24}));
}

TEST(frame_descriptors_are_checked) {
    const std::uint8_t byte = 0;
    edgeseg_frame good{};
    good.width = 64;
    good.height = 48;
    good.plane[0] = good.plane[1] = &byte;
    EXPECT_EQ(check_frame(good).stride[0], std::size_t{192});
    const auto refuse = [&good](const auto& change) {
        edgeseg_frame frame = good;
        change(frame);
        EXPECT_ERROR(EDGESEG_E_ARGUMENT, (check_frame(frame), [&] { Box box; has_roi(frame, box); }()));
    };
    refuse([](edgeseg_frame& f) { f.format = 4; });
    refuse([](edgeseg_frame& f) { f.color = 4; });
    refuse([](edgeseg_frame& f) { f.width = 15; });
    refuse([](edgeseg_frame& f) { f.height = 16385; });
    refuse([](edgeseg_frame& f) { f.width = 0xffffffff; });
    refuse([](edgeseg_frame& f) { f.plane[0] = nullptr; });
    refuse([](edgeseg_frame& f) { f.stride[0] = 191; });
    refuse([](edgeseg_frame& f) { f.format = EDGESEG_NV12; f.width = 65; });
    refuse([](edgeseg_frame& f) { f.format = EDGESEG_NV12; f.plane[1] = nullptr; });
    refuse([](edgeseg_frame& f) { f.format = EDGESEG_NV12; f.stride[1] = 63; });
    refuse([](edgeseg_frame& f) { f.roi = {0, 0, 65, 48}; });
    refuse([](edgeseg_frame& f) { f.roi = {-1, 0, 10, 10}; });
    refuse([](edgeseg_frame& f) { f.roi = {60, 0, 0, 10}; });
    refuse([](edgeseg_frame& f) { f.roi = {2147483647, 0, 2147483647, 1}; });
}

TEST_MAIN()
