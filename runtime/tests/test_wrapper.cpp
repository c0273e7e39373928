// edgeseg.hpp around a real bundle: sentences in exceptions, results after failures, moves. Usage: test_wrapper BUNDLES
#include <cstring>
#include <utility>

#include <edgeseg/edgeseg.hpp>

#include "check.hpp"

namespace {

std::string bundles;

template <typename Call>
std::string failure(edgeseg_status status, const Call& call) {
    try {
        call();
    } catch (const edgeseg::Failure& error) {
        return error.status() == status ? error.what() : std::string("another status: ") + error.what();
    }
    return "nothing was thrown";
}

bool has(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST(failures_carry_the_sentence) {
    EXPECT(has(failure(EDGESEG_E_FILE, [] { edgeseg::Session session("/nonexistent"); }), "/nonexistent"));
    edgeseg::Session session(bundles + "/polyp.edgeseg");
    EXPECT(has(failure(EDGESEG_E_ARGUMENT, [&] { session.class_info(9); }), "index"));
    EXPECT(has(failure(EDGESEG_E_ARGUMENT, [&] { session.set_threshold(1, 0); }), "threshold"));
    EXPECT(has(failure(EDGESEG_E_ARGUMENT, [&] { session.prepare(EDGESEG_BGR, 8, 8); }), "8x8"));
    EXPECT_EQ(session.selftest(), session.info().golden_count);
    edgeseg::Session wrong(bundles + "/wrong-golden.edgeseg");
    EXPECT(has(failure(EDGESEG_E_SELFTEST, [&] { wrong.selftest(); }), "g0"));
}

TEST(a_refused_frame_leaves_no_older_result) {
    edgeseg::Session session(bundles + "/polyp.edgeseg");
    std::vector<std::uint8_t> pixels(200 * 150 * 3);
    for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<std::uint8_t>(50 + i / 3 % 150 + i % 3 * 9);
    edgeseg::Frame frame(EDGESEG_BGR, 200, 150, pixels.data());
    frame.sequence = 5;
    EXPECT_EQ(session.result().signal(300000000), EDGESEG_LOST);  // before the first run
    EXPECT_EQ(session.run(frame).raw.signal, EDGESEG_LIVE);
    EXPECT(!session.result().objects.empty());
    frame.sequence = 6;
    frame.stride[0] = 7;
    EXPECT(has(failure(EDGESEG_E_ARGUMENT, [&] { session.run(frame); }), "frame.stride[0] is 7 bytes"));
    EXPECT_EQ(session.result().raw.signal, EDGESEG_INVALID);
    EXPECT_EQ(session.result().raw.sequence, std::uint64_t{6});
    EXPECT(session.result().objects.empty());
    EXPECT(session.result().mask == std::vector<std::uint8_t>(200 * 150, 0));
    EXPECT_EQ(session.result().class_area[0], std::uint64_t{200 * 150});
    const edgeseg::Frame huge(EDGESEG_BGR, 4000000000U, 4000000000U, pixels.data());
    EXPECT(has(failure(EDGESEG_E_ARGUMENT, [&] { session.run(huge); }), "4000000000"));
    EXPECT(session.result().mask.empty());
}

TEST(sessions_move) {
    edgeseg::Session first(bundles + "/polyp.edgeseg");
    edgeseg::Session second(std::move(first));
    EXPECT(first.handle() == nullptr && second.handle() != nullptr);
    first = std::move(second);
    EXPECT(std::strcmp(first.info().name, "polyp") == 0);
    EXPECT_EQ(first.class_info(1).threshold, std::uint8_t{128});
}

int main(int count, char** arguments) {
    if (count < 2) return 2;
    bundles = arguments[1];
    return check::main_of(1, arguments);
}
