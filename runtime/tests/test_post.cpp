// Masks, components, signal states and statistics against plain second implementations.
#include <random>

#include "check.hpp"
#include "components.hpp"
#include "post.hpp"
#include "signal.hpp"
#include "statistics.hpp"

using namespace edgeseg;

namespace {

using Bytes = std::vector<std::uint8_t>;

struct Found {
    std::uint64_t area = 0;
    int left = 1 << 30, top = 1 << 30, right = 0, bottom = 0;
    int value = 0;
    bool operator==(const Found& o) const {
        return area == o.area && left == o.left && top == o.top && right == o.right && bottom == o.bottom && value == o.value;
    }
    bool operator<(const Found& o) const { return std::tie(o.area, left, top, right, bottom, value) < std::tie(area, o.left, o.top, o.right, o.bottom, o.value); }
};

// Flood fill with a stack.
std::vector<Found> flood(Bytes mask, int width, int height) {
    std::vector<Found> out;
    for (int start = 0; start < width * height; ++start) {
        const int value = mask[static_cast<std::size_t>(start)];
        if (value == 0) continue;
        Found found;
        found.value = value;
        std::vector<int> stack{start};
        mask[static_cast<std::size_t>(start)] = 0;
        while (!stack.empty()) {
            const int at = stack.back(), x = at % width, y = at / width;
            stack.pop_back();
            ++found.area;
            found.left = std::min(found.left, x);
            found.right = std::max(found.right, x + 1);
            found.top = std::min(found.top, y);
            found.bottom = std::max(found.bottom, y + 1);
            for (int dy = -1; dy <= 1; ++dy) {
                for (int dx = -1; dx <= 1; ++dx) {
                    const int nx = x + dx, ny = y + dy;
                    if (nx < 0 || ny < 0 || nx >= width || ny >= height || mask[static_cast<std::size_t>(ny * width + nx)] != value) continue;
                    mask[static_cast<std::size_t>(ny * width + nx)] = 0;
                    stack.push_back(ny * width + nx);
                }
            }
        }
        out.push_back(found);
    }
    std::sort(out.begin(), out.end());
    return out;
}

std::vector<Found> labelled(Components& components, std::size_t count) {
    std::vector<Found> out;
    components.sort(count);
    for (std::size_t i = 0; i < count; ++i) {
        const Component& c = components.begin()[i];
        out.push_back({c.area, c.left, c.top, c.right, c.bottom, static_cast<int>(c.class_index)});
    }
    return out;
}

struct Scene {
    Bytes data;
    int width, height;
    Scene(int w, int h) : data(static_cast<std::size_t>(w * h * 3)), width(w), height(h) {}
    Placement placement() const { return {{0, 0, 2 * width, 2 * height}, {0, 0, width, height}}; }
};

Scene gradient() {
    Scene scene(96, 64);
    for (std::size_t i = 0; i < scene.data.size(); ++i) scene.data[i] = static_cast<std::uint8_t>(40 + i / 3 % 96 + i / 500);
    return scene;
}

std::int32_t look_once(const Scene& scene) {
    SignalWatch watch;
    watch.prepare(scene.height, scene.width);
    const char* why = nullptr;
    return watch.look(scene.data.data(), scene.placement(), 1, why);
}

}  // namespace

TEST(components_are_those_of_a_flood_fill) {
    std::mt19937 random(1);
    for (int round = 0; round < 300; ++round) {
        const int width = 1 + static_cast<int>(random() % 40), height = 1 + static_cast<int>(random() % 30);
        const unsigned long classes = 1 + random() % 3, density = 1 + random() % 9;
        Bytes mask(static_cast<std::size_t>(width * height));
        for (auto& value : mask) value = static_cast<std::uint8_t>(random() % 10 < density ? 1 + random() % classes : 0);
        Components components;
        components.prepare(width, height, classes == 1);
        const std::vector<Found> expected = flood(mask, width, height);
        const std::size_t count = components.label(mask.data(), static_cast<std::size_t>(width), {0, 0, width, height});
        EXPECT(labelled(components, count) == expected);
        // Dropping small ones: the same as filtering the flood's.
        std::vector<std::uint64_t> areas(classes + 1, 0);
        for (const Found& one : expected) areas[static_cast<std::size_t>(one.value)] += one.area;
        const std::vector<std::uint64_t> totals = areas;
        areas[0] = mask.size();
        for (std::size_t i = 1; i < areas.size(); ++i) areas[0] -= areas[i];
        std::vector<Found> kept;
        for (const Found& one : expected) {
            if (static_cast<double>(one.area) >= 0.2 * static_cast<double>(totals[static_cast<std::size_t>(one.value)])) kept.push_back(one);
        }
        components.label(mask.data(), static_cast<std::size_t>(width), {0, 0, width, height});
        const std::size_t left = components.drop(mask.data(), static_cast<std::size_t>(width), 0.2, areas.data());
        EXPECT(labelled(components, left) == kept);
        EXPECT(flood(mask, width, height) == kept);
        std::uint64_t pixels = 0;
        for (const std::uint64_t area : areas) pixels += area;
        EXPECT_EQ(pixels, mask.size());
    }
}

TEST(signal_states_by_content) {
    EXPECT_EQ(look_once(gradient()), EDGESEG_LIVE);
    Scene black(96, 64);
    for (auto& value : black.data) value = 12;
    black.data[5] = 200;  // a hot pixel
    EXPECT_EQ(look_once(black), EDGESEG_NO_SIGNAL);
    Scene white(96, 64);
    for (auto& value : white.data) value = 250;
    EXPECT_EQ(look_once(white), EDGESEG_NO_SIGNAL);
    Scene blue(96, 64);
    for (std::size_t i = 0; i < blue.data.size(); i += 3) blue.data[i] = static_cast<std::uint8_t>(180 + i % 2);
    EXPECT_EQ(look_once(blue), EDGESEG_NO_SIGNAL);
    Scene noise(96, 64);
    std::mt19937 random(1);
    for (auto& value : noise.data) value = static_cast<std::uint8_t>(random());
    EXPECT_EQ(look_once(noise), EDGESEG_NO_SIGNAL);
    Scene grainy = gradient();  // a picture with sensor noise is a picture
    for (auto& value : grainy.data) value = static_cast<std::uint8_t>(value + random() % 20);
    EXPECT_EQ(look_once(grainy), EDGESEG_LIVE);
}

TEST(frozen_after_six_tenths_of_a_second_without_change) {
    Scene scene = gradient();
    SignalWatch watch;
    watch.prepare(scene.height, scene.width);
    const char* why = nullptr;
    const auto at = [&](std::int64_t milliseconds) { return watch.look(scene.data.data(), scene.placement(), milliseconds * 1000000, why); };
    EXPECT_EQ(at(0), EDGESEG_LIVE);
    EXPECT_EQ(at(500), EDGESEG_LIVE);
    EXPECT_EQ(at(599), EDGESEG_LIVE);
    EXPECT_EQ(at(600), EDGESEG_FROZEN);
    scene.data[100] = static_cast<std::uint8_t>(scene.data[100] + 90);  // one value is not a change
    EXPECT_EQ(at(1100), EDGESEG_FROZEN);
    for (std::size_t i = 0; i < 400; ++i) scene.data[i] = static_cast<std::uint8_t>(scene.data[i] + 2);
    EXPECT_EQ(at(1200), EDGESEG_LIVE);
    EXPECT_EQ(at(1799), EDGESEG_LIVE);
    EXPECT_EQ(at(1800), EDGESEG_FROZEN);
    EXPECT_EQ(at(100), EDGESEG_LIVE);  // the clock was set back: begins anew
    EXPECT_EQ(at(700), EDGESEG_FROZEN);
    watch.forget();
    EXPECT_EQ(at(1200), EDGESEG_LIVE);
}

TEST(frozen_survives_any_clock) {
    const Scene scene = gradient();
    SignalWatch watch;
    watch.prepare(scene.height, scene.width);
    const char* why = nullptr;
    EXPECT_EQ(watch.look(scene.data.data(), scene.placement(), INT64_MIN, why), EDGESEG_LIVE);
    EXPECT_EQ(watch.look(scene.data.data(), scene.placement(), INT64_MAX, why), EDGESEG_FROZEN);
    EXPECT_EQ(watch.look(scene.data.data(), scene.placement(), INT64_MIN, why), EDGESEG_LIVE);
}

TEST(percentiles_to_within_one_percent) {
    Latencies times;
    EXPECT(times.percentile(0.5) == 0.0);
    for (int i = 1; i <= 1000; ++i) times.add(i * 0.01);
    const auto near = [](double a, double b) { return a >= b * 0.9999 && a <= b * 1.0101; };
    EXPECT(near(times.percentile(0.50), 5.0));
    EXPECT(near(times.percentile(0.95), 9.5));
    EXPECT(times.percentile(1.0) == 10.0);
    times.add(0.0);
    times.add(1e12);
    EXPECT(times.maximum() == 1e12);
    EXPECT_EQ(times.count(), std::uint64_t{1002});
}

TEST_MAIN()
