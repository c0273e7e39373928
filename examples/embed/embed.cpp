// Raw frames in, masks out: the loop of a device in 70 lines.
//
//   ffmpeg -v error -i clip.mp4 -f rawvideo -pix_fmt bgr24 - | embed BUNDLE 480x360 masks.gray
//   ffmpeg -f rawvideo -pix_fmt gray -s 480x360 -i masks.gray masks.mp4      (values are class indexes)
//
// Frames with no mask to be trusted (NO_SIGNAL, INVALID) get an empty one; states and objects go to stderr.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

#include <edgeseg/edgeseg.hpp>

namespace {

std::int64_t now_ns() {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

int run(const std::string& bundle, unsigned width, unsigned height, const char* masks) {
    static const char* const states[] = {"LIVE", "FROZEN", "NO_SIGNAL", "INVALID", "STALE", "LOST"};
    edgeseg::Session session(bundle);
    session.selftest();  // throws if this machine does not give what the bundle promises
    session.prepare(EDGESEG_BGR, width, height);
    std::ofstream out(masks, std::ios::binary);
    std::vector<std::uint8_t> pixels(std::size_t{width} * height * 3);
    edgeseg::Frame frame(EDGESEG_BGR, width, height, pixels.data());
    std::int32_t shown = -1;
    while (out && std::cin.read(reinterpret_cast<char*>(pixels.data()), static_cast<std::streamsize>(pixels.size()))) {
        frame.captured_ns = now_ns();  // a camera's own monotonic time is better
        try {
            session.run(frame);
        } catch (const edgeseg::Failure& failure) {
            if (failure.status() != EDGESEG_E_BACKEND) throw;  // a failed engine may recover; the mask is empty until then
        }
        const edgeseg::Result& result = session.result();
        const std::int32_t state = result.signal(now_ns());
        if (state != shown) std::fprintf(stderr, "frame %llu: %s %s\n", static_cast<unsigned long long>(frame.sequence), states[state], result.raw.reason);
        shown = state;
        for (const edgeseg_object& object : result.objects) {
            std::fprintf(stderr, "frame %llu: class %u at %d,%d %dx%d\n", static_cast<unsigned long long>(frame.sequence), object.class_index, object.box.x,
                         object.box.y, object.box.width, object.box.height);
        }
        out.write(reinterpret_cast<const char*>(result.mask.data()), static_cast<std::streamsize>(result.mask.size()));
        ++frame.sequence;
    }
    const edgeseg_statistics statistics = session.statistics();
    std::fprintf(stderr, "%llu frames, p50 %.2f ms, p99 %.2f ms\n", static_cast<unsigned long long>(statistics.frames), static_cast<double>(statistics.p50_ms),
                 static_cast<double>(statistics.p99_ms));
    if (out && std::cin.gcount() > 0) std::fprintf(stderr, "the last frame was cut off after %lld bytes and left out\n", static_cast<long long>(std::cin.gcount()));
    if (out.flush()) return EXIT_SUCCESS;
    std::fprintf(stderr, "%s cannot be written\n", masks);
    return 5;
}

}  // namespace

int main(int count, char** arguments) {
    unsigned width = 0, height = 0;
    if (count != 4 || std::sscanf(arguments[2], "%ux%u", &width, &height) != 2) {
        std::fprintf(stderr, "usage: embed BUNDLE WIDTHxHEIGHT MASKS < frames.bgr\n");
        return 2;
    }
    try {
        return run(arguments[1], width, height, arguments[3]);
    } catch (const edgeseg::Failure& failure) {
        std::fprintf(stderr, "%s\n", failure.what());
        return failure.status() / 10;  // as edgeseg's command line would exit
    }
}
