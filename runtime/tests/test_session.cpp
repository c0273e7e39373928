// A session around a fake backend: buffers, states, smoothing, and no allocation per frame.
#include <atomic>
#include <cstring>
#include <new>

#include "check.hpp"
#include "error.hpp"
#include "sample.hpp"
#include "session.hpp"

namespace {
std::atomic<long> allocations{0};
}

// Every allocation through new is counted; our code uses no other.
__attribute__((noinline)) void* operator new(std::size_t size) {
    ++allocations;
    if (void* memory = std::malloc(size)) return memory;
    throw std::bad_alloc();
}
__attribute__((noinline)) void operator delete(void* memory) noexcept { std::free(memory); }
__attribute__((noinline)) void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

using namespace edgeseg;

namespace {

constexpr int height = 24, width = 32;

struct Fake final : Backend {
    std::vector<std::uint8_t> in = std::vector<std::uint8_t>(height * width * 3), out;
    bool fails = false;
    int runs = 0;
    explicit Fake(int channels) : out(static_cast<std::size_t>(channels) * height * width) {}
    std::uint8_t* input() noexcept override { return in.data(); }
    const std::uint8_t* output() const noexcept override { return out.data(); }
    void infer() override {
        ++runs;
        if (fails) throw Error(EDGESEG_E_BACKEND, "the fake failed");
    }
    void square(int channel, int left, int top, int side, std::uint8_t value) {
        for (int y = top; y < top + side; ++y) std::memset(&out[static_cast<std::size_t>((channel * height + y) * width + left)], value, static_cast<std::size_t>(side));
    }
};

struct Bench {
    sample::TemporaryFolder folder;
    Fake* fake = nullptr;
    std::unique_ptr<Session> session;
    std::vector<std::uint8_t> picture;
    int frame_width = 128, frame_height = 96;
    edgeseg_frame frame{};
    std::vector<std::uint8_t> probability, mask;
    std::vector<edgeseg_object> objects = std::vector<edgeseg_object>(8);
    std::vector<std::uint64_t> areas;
    edgeseg_result result{};

    explicit Bench(const std::string& manifest = sample::manifest(), int channels = 1) {
        folder.write_manifest(manifest);
        auto backend = std::make_unique<Fake>(channels);
        fake = backend.get();
        session = std::make_unique<Session>(std::make_unique<Bundle>(folder.path(), nullptr), Choice{}, std::move(backend));
        picture.resize(static_cast<std::size_t>(frame_width * frame_height * 3));
        paint(0);
        frame.width = static_cast<std::uint32_t>(frame_width);
        frame.height = static_cast<std::uint32_t>(frame_height);
        frame.plane[0] = picture.data();
        probability.resize(static_cast<std::size_t>(channels) * height * width);
        mask.resize(picture.size() / 3);
        areas.resize(static_cast<std::size_t>(channels) + 1);
        result.mask_at = EDGESEG_MASK_FRAME;
        result.probability = probability.data();
        result.probability_size = probability.size();
        result.mask = mask.data();
        result.mask_size = mask.size();
        result.objects = objects.data();
        result.object_capacity = static_cast<std::uint32_t>(objects.size());
        result.class_area = areas.data();
        result.area_capacity = static_cast<std::uint32_t>(areas.size());
    }
    void paint(int phase) {
        for (int i = 0; i < frame_width * frame_height; ++i) {
            for (int c = 0; c < 3; ++c) picture[static_cast<std::size_t>(i * 3 + c)] = static_cast<std::uint8_t>(60 + (i % frame_width + phase) % 120 + c * 5);
        }
    }
    // Each frame differs from the one before and is 40 ms later.
    void next() {
        ++frame.sequence;
        frame.captured_ns += 40'000'000;
        paint(static_cast<int>(frame.sequence) * 3);
    }
    void run() { session->run(frame, result); }
};

}  // namespace

TEST(a_square_comes_back_as_mask_object_and_area) {
    Bench bench;
    bench.fake->square(0, 8, 4, 8, 255);
    bench.run();
    EXPECT_EQ(bench.result.signal, EDGESEG_LIVE);
    EXPECT_EQ(bench.result.object_count, 1U);
    const edgeseg_object& object = bench.objects[0];
    EXPECT_EQ(object.class_index, 1U);
    EXPECT_EQ(object.area, bench.areas[1]);
    EXPECT_EQ(bench.areas[0] + bench.areas[1], std::uint64_t{96 * 128});
    EXPECT_EQ(object.box.x, 32);
    EXPECT_EQ(object.box.y, 16);
    EXPECT_EQ(object.box.width, 32);
    EXPECT_EQ(object.box.height, 32);
    EXPECT_EQ(int{bench.mask[static_cast<std::size_t>(30 * 128 + 50)]}, 1);
    EXPECT_EQ(int{bench.mask[0]}, 0);
    bench.result.mask_at = EDGESEG_MASK_NETWORK;
    bench.run();
    EXPECT_EQ(bench.areas[1], std::uint64_t{64});
    EXPECT_EQ(bench.objects[0].box.x, 32);  // in frame pixels all the same
    EXPECT_EQ(bench.objects[0].box.width, 32);
}

TEST(no_allocation_after_prepare) {
    for (const std::uint32_t format : {EDGESEG_BGR, EDGESEG_RGB, EDGESEG_GREY, EDGESEG_NV12}) {
        for (const std::uint32_t mask_at : {EDGESEG_MASK_NETWORK, EDGESEG_MASK_FRAME}) {
            Bench bench(sample::changed("\"min_area\": 0.0, \"smoothing\": 0.0", "\"min_area\": 0.1, \"smoothing\": 0.5"));
            bench.frame.format = format;
            bench.frame.plane[1] = bench.picture.data();
            bench.result.mask_at = mask_at;
            bench.session->prepare(format, bench.frame_width, bench.frame_height, true);
            bench.fake->square(0, 8, 4, 8, 255);
            bench.fake->square(0, 20, 14, 2, 200);
            const long before = allocations;
            for (int i = 0; i < 50; ++i) {
                bench.next();
                if (i == 20) bench.frame.roi = {10, 10, 60, 50};
                if (i == 30) bench.fake->square(0, 0, 0, 24, 255);
                bench.run();
            }
            EXPECT_EQ(allocations - before, 0L);
        }
    }
}

TEST(a_failing_engine_is_invalid_and_leaves_no_mask) {
    Bench bench;
    bench.fake->square(0, 8, 4, 8, 255);
    bench.run();
    bench.next();
    bench.fake->fails = true;
    EXPECT_ERROR(EDGESEG_E_BACKEND, bench.run());
    EXPECT_EQ(bench.result.signal, EDGESEG_INVALID);
    EXPECT_EQ(std::string(bench.result.reason), "the fake failed");
    EXPECT_EQ(bench.result.sequence, bench.frame.sequence);
    EXPECT_EQ(bench.result.object_count, 0U);
    EXPECT(bench.mask == std::vector<std::uint8_t>(bench.mask.size(), 0));
    bench.fake->fails = false;
    bench.next();
    bench.run();
    EXPECT_EQ(bench.result.signal, EDGESEG_LIVE);
    EXPECT_EQ(std::string(bench.result.reason), "");
    EXPECT_EQ(bench.session->invalid(), std::uint64_t{1});
    EXPECT_EQ(bench.session->frames(), std::uint64_t{3});
}

TEST(an_engine_that_fails_while_it_warms_up_leaves_no_mask_either) {
    Bench bench;
    std::fill(bench.mask.begin(), bench.mask.end(), std::uint8_t{1});  // of the session before, say
    bench.fake->fails = true;
    EXPECT_ERROR(EDGESEG_E_BACKEND, bench.run());
    EXPECT_EQ(bench.result.signal, EDGESEG_INVALID);
    EXPECT(bench.mask == std::vector<std::uint8_t>(bench.mask.size(), 0));
    EXPECT_EQ(bench.session->frames(), std::uint64_t{0});
    EXPECT_EQ(bench.session->invalid(), std::uint64_t{0});
}

TEST(objects_are_counted_where_nobody_wants_them_listed) {
    Bench bench;
    bench.fake->square(0, 8, 4, 8, 255);
    bench.fake->square(0, 20, 14, 4, 255);
    bench.result.objects = nullptr;
    bench.result.class_area = nullptr;
    bench.run();
    EXPECT_EQ(bench.result.object_count, 2U);
    bench.result.mask = nullptr;
    bench.run();
    EXPECT_EQ(bench.result.object_count, 0U);
}

TEST(an_all_one_mask_is_invalid) {
    Bench bench;
    std::fill(bench.fake->out.begin(), bench.fake->out.end(), std::uint8_t{255});
    bench.run();
    EXPECT_EQ(bench.result.signal, EDGESEG_INVALID);
    EXPECT_EQ(bench.areas[1], std::uint64_t{0});
    EXPECT_EQ(int{bench.mask[500]}, 0);
    EXPECT_EQ(int{bench.probability[100]}, 255);  // what the network said stays to be looked at
}

TEST(a_mask_that_fills_a_padded_picture_is_no_fault) {
    Bench bench;
    bench.frame.height = 24;  // 128 x 24: only rows 9 to 14 of the network's 24 are picture
    for (int left = 0; left < 32; left += 8) bench.fake->square(0, left, 8, 8, 255);
    bench.run();
    EXPECT_EQ(bench.result.signal, EDGESEG_LIVE);
    EXPECT_EQ(bench.areas[1], std::uint64_t{128 * 24});
}

TEST(another_size_of_frames_keeps_the_statistics) {
    Bench bench;
    for (int i = 0; i < 3; ++i) {
        bench.run();
        bench.next();
    }
    bench.frame.height /= 2;
    bench.result.mask_at = EDGESEG_MASK_NETWORK;
    bench.run();
    EXPECT_EQ(bench.session->frames(), std::uint64_t{4});
    bench.session->prepare(EDGESEG_BGR, bench.frame_width, bench.frame_height, true);
    EXPECT_EQ(bench.session->frames(), std::uint64_t{0});
}

TEST(no_signal_shows_no_mask) {
    Bench bench;
    bench.fake->square(0, 8, 4, 8, 255);
    std::fill(bench.picture.begin(), bench.picture.end(), std::uint8_t{3});
    bench.run();
    EXPECT_EQ(bench.result.signal, EDGESEG_NO_SIGNAL);
    EXPECT_EQ(std::string(bench.result.reason), "the picture is black");
    EXPECT(bench.mask == std::vector<std::uint8_t>(bench.mask.size(), 0));
}

TEST(frozen_keeps_its_mask) {
    Bench bench;
    bench.fake->square(0, 8, 4, 8, 255);
    for (int i = 0; i <= 25; ++i) {
        ++bench.frame.sequence;
        bench.frame.captured_ns += 40'000'000;
        bench.run();
        EXPECT_EQ(bench.result.signal, i < 15 ? EDGESEG_LIVE : EDGESEG_FROZEN);
    }
    EXPECT_EQ(bench.result.object_count, 1U);
}

TEST(buffers_are_checked_before_anything_runs) {
    Bench bench;
    bench.session->prepare(EDGESEG_BGR, bench.frame_width, bench.frame_height, true);
    const int runs = bench.fake->runs;
    const auto refuse = [&bench](edgeseg_status status, const auto& change) {
        const edgeseg_result kept = bench.result;
        change(bench.result);
        EXPECT_ERROR(status, bench.run());
        EXPECT_EQ(bench.result.signal, EDGESEG_INVALID);
        EXPECT(bench.result.reason[0] != '\0');
        bench.result = kept;
    };
    refuse(EDGESEG_E_BUFFER, [](edgeseg_result& r) { --r.mask_size; });
    refuse(EDGESEG_E_BUFFER, [](edgeseg_result& r) { --r.probability_size; });
    refuse(EDGESEG_E_BUFFER, [](edgeseg_result& r) { r.area_capacity = 1; });
    refuse(EDGESEG_E_BUFFER, [](edgeseg_result& r) { r.mask_stride = 129; });
    refuse(EDGESEG_E_ARGUMENT, [](edgeseg_result& r) { r.mask_stride = 127; });
    refuse(EDGESEG_E_ARGUMENT, [](edgeseg_result& r) { r.mask_at = 2; });
    EXPECT_EQ(bench.fake->runs, runs);
    bench.result.mask = nullptr;
    bench.result.mask_size = 0;
    bench.result.probability = nullptr;
    bench.fake->square(0, 8, 4, 8, 255);
    bench.run();  // objects and areas alone are fine
    EXPECT_EQ(bench.result.object_count, 1U);
}

TEST(only_the_largest_objects_are_written_all_are_counted) {
    Bench bench;
    for (int i = 0; i < 6; ++i) bench.fake->square(0, 1 + 5 * i, 2, 1 + i / 2, 255);
    bench.result.object_capacity = 2;
    bench.objects[2].area = 77;
    bench.run();
    EXPECT_EQ(bench.result.object_count, 6U);
    EXPECT(bench.objects[0].area >= bench.objects[1].area);
    EXPECT(bench.objects[0].box.x < bench.objects[1].box.x);  // two of 3x3: the left one first
    EXPECT_EQ(bench.objects[2].area, std::uint64_t{77});
}

TEST(smoothing_restarts_at_gaps) {
    Bench bench(sample::changed("\"smoothing\": 0.0", "\"smoothing\": 0.5"));
    bench.fake->square(0, 8, 4, 8, 200);
    const std::size_t inside = 5 * width + 10;
    bench.next();
    bench.run();
    EXPECT_EQ(int{bench.probability[inside]}, 200);
    bench.fake->square(0, 8, 4, 8, 100);
    bench.next();
    bench.run();
    EXPECT_EQ(int{bench.probability[inside]}, 150);
    bench.next();
    bench.run();
    EXPECT_EQ(int{bench.probability[inside]}, 125);
    bench.next();
    bench.next();  // a frame is missing
    bench.run();
    EXPECT_EQ(int{bench.probability[inside]}, 100);
    bench.fake->square(0, 8, 4, 8, 200);
    bench.next();
    bench.frame.roi = {0, 0, 64, 48};  // another geometry
    bench.run();
    EXPECT_EQ(int{bench.probability[inside]}, 200);
}

TEST(thresholds_can_be_set_and_are_checked) {
    Bench bench;
    bench.fake->square(0, 8, 4, 8, 150);
    bench.run();
    EXPECT_EQ(bench.result.object_count, 1U);
    bench.session->set_threshold(1, 151);
    bench.run();
    EXPECT_EQ(bench.result.object_count, 0U);
    EXPECT_ERROR(EDGESEG_E_ARGUMENT, bench.session->set_threshold(0, 10));
    EXPECT_ERROR(EDGESEG_E_ARGUMENT, bench.session->set_threshold(2, 10));
    EXPECT_ERROR(EDGESEG_E_ARGUMENT, bench.session->set_threshold(1, 0));
}

TEST(content_box_is_found_once_and_held) {
    Bench bench(sample::changed("\"region\": \"frame\"", "\"region\": \"content\""));
    const auto border = [&bench](int left) {
        bench.paint(static_cast<int>(bench.frame.sequence));
        for (int y = 0; y < bench.frame_height; ++y) std::memset(&bench.picture[static_cast<std::size_t>(y * bench.frame_width * 3)], 0, static_cast<std::size_t>(left) * 3);
    };
    std::fill(bench.picture.begin(), bench.picture.end(), std::uint8_t{0});
    bench.run();
    EXPECT_EQ(bench.result.signal, EDGESEG_NO_SIGNAL);  // black: not held
    bench.next();
    border(20);
    bench.run();
    EXPECT_EQ(bench.result.region.x, 20);
    bench.next();
    border(40);
    bench.run();
    EXPECT_EQ(bench.result.region.x, 20);
    EXPECT_EQ(bench.session->find_content(bench.frame).left, 40);
    bench.next();
    border(40);
    bench.frame.height -= 16;  // a change of size begins anew
    bench.run();
    EXPECT_EQ(bench.result.region.x, 40);
}

TEST(the_content_box_of_an_invalid_frame_is_not_held) {
    Bench bench(sample::changed("\"region\": \"frame\"", "\"region\": \"content\""));
    for (int y = 0; y < bench.frame_height; ++y) std::memset(&bench.picture[static_cast<std::size_t>(y * bench.frame_width * 3)], 0, 60);
    std::fill(bench.fake->out.begin(), bench.fake->out.end(), std::uint8_t{255});
    bench.run();
    EXPECT_EQ(bench.result.signal, EDGESEG_INVALID);
    EXPECT_EQ(bench.result.region.x, 20);
    std::fill(bench.fake->out.begin(), bench.fake->out.end(), std::uint8_t{0});
    bench.next();
    bench.run();
    EXPECT_EQ(bench.result.signal, EDGESEG_LIVE);
    EXPECT_EQ(bench.result.region.x, 0);
}

TEST(the_step_clahe_is_refused_by_name) {
    Bench bench;
    bench.folder.write_manifest(sample::changed("\"steps\": []", "\"steps\": [{\"op\": \"clahe\", \"clip_limit\": 2.0, \"tiles\": 8}]"));
    EXPECT_ERROR(EDGESEG_E_UNSUPPORTED, open_session(bench.folder.path(), {}, 0, 0, nullptr));
    std::string said;
    try {
        open_session(bench.folder.path(), {}, 0, 0, nullptr);
    } catch (const Error& error) {
        said = error.what();
    }
    EXPECT(said.find("the step \"clahe\"") != std::string::npos);
}

TEST_MAIN()
