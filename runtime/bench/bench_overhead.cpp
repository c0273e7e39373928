// What edgeseg_run costs over the bare engine: both in one process, taking turns, on the same graph with the same settings.
// Usage: bench_overhead BUNDLE [ROUNDS [THREADS [PRECISION fp32|int8 [WIDTHxHEIGHT]]]]
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <edgeseg/edgeseg.hpp>
#include <openvino/openvino.hpp>

namespace {

using Clock = std::chrono::steady_clock;

double since(Clock::time_point start) { return std::chrono::duration<double, std::milli>(Clock::now() - start).count(); }

double percentile(std::vector<double> values, double share) {
    std::sort(values.begin(), values.end());
    return values[std::min(values.size() - 1, static_cast<std::size_t>(share * static_cast<double>(values.size())))];
}

long resident_kib() {
    std::ifstream file("/proc/self/statm");
    long total = 0, resident = 0;
    file >> total >> resident;
    return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

// The graph that the session runs, straight from the bundle's folder.
ov::InferRequest bare(ov::Core& core, const std::string& bundle, const edgeseg::Session& session, int threads) {
    std::ifstream file(bundle + "/graphs/" + session.info().engine + ".onnx", std::ios::binary);
    const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    ov::AnyMap settings{ov::hint::performance_mode(ov::hint::PerformanceMode::LATENCY), ov::num_streams(1), ov::hint::inference_precision(ov::element::f32)};
    if (threads > 0) settings.insert(ov::inference_num_threads(threads));
    return core.compile_model(core.read_model(text, ov::Tensor()), "CPU", settings).create_infer_request();
}

// A moving picture, so that nothing is frozen.
void paint(std::vector<std::uint8_t>& pixels, std::uint32_t width, std::uint32_t height, int phase) {
    for (std::uint32_t y = 0; y < height; ++y) {
        std::uint8_t* row = pixels.data() + std::size_t{y} * width * 3;
        for (std::uint32_t x = 0; x < width * 3; ++x) row[x] = static_cast<std::uint8_t>(60 + ((x / 9 + y / 5 + static_cast<std::uint32_t>(phase)) % 150));
    }
}

}  // namespace

int main(int count, char** arguments) {
    if (count < 2) return 2;
    const std::string bundle = arguments[1];
    const int rounds = count > 2 ? std::atoi(arguments[2]) : 1000;
    const int threads = count > 3 ? std::atoi(arguments[3]) : 2;
    edgeseg::Options options;
    options.backend = EDGESEG_OPENVINO;
    options.threads = static_cast<std::uint32_t>(threads);
    if (count > 4) options.precision = std::strcmp(arguments[4], "int8") == 0 ? EDGESEG_INT8 : EDGESEG_FP32;
    std::uint32_t width = 1920, height = 1080;
    if (count > 5 && std::sscanf(arguments[5], "%ux%u", &width, &height) != 2) return 2;
    edgeseg::Session session(bundle, options);
    ov::Core core;
    ov::InferRequest engine = bare(core, bundle, session, threads);

    constexpr int pictures = 4;
    std::vector<std::vector<std::uint8_t>> frames(pictures, std::vector<std::uint8_t>(std::size_t{width} * height * 3));
    for (int i = 0; i < pictures; ++i) paint(frames[static_cast<std::size_t>(i)], width, height, 40 * i);
    session.prepare(EDGESEG_BGR, width, height);
    std::vector<double> bare_ms, run_ms, fit_ms, post_ms;
    long memory = 0;
    const int every = rounds > 5000 ? 8 : 1;  // long runs are for the tail of edgeseg_run
    for (int i = -20; i < rounds; ++i) {
        const bool both = i % every == 0;
        const auto start = Clock::now();
        if (both) engine.infer();
        const double alone = since(start);
        edgeseg::Frame frame(EDGESEG_BGR, width, height, frames[static_cast<std::size_t>((i + 20) % pictures)].data());
        frame.sequence = static_cast<std::uint64_t>(i + 20);
        frame.captured_ns = (i + 20) * std::int64_t{40000000};
        const auto middle = Clock::now();
        const edgeseg::Result& result = session.run(frame, EDGESEG_MASK_NETWORK);
        const double whole = since(middle);
        if (i == std::min(rounds / 10, 1000)) memory = resident_kib();
        if (i < 0) continue;
        if (both) bare_ms.push_back(alone);
        run_ms.push_back(whole);
        fit_ms.push_back(static_cast<double>(result.raw.fit_ms));
        post_ms.push_back(static_cast<double>(result.raw.post_ms));
    }
    const double bare_p50 = percentile(bare_ms, 0.5), run_p50 = percentile(run_ms, 0.5), run_p99 = percentile(run_ms, 0.99);
    const double allowed = 1.10 * bare_p50 + 1.0;
    std::printf("graph %s, %ux%u BGR to %ux%u mask, %d threads, %d rounds\n", session.info().engine, width, height, session.info().width, session.info().height, threads, rounds);
    std::printf("bare OpenVINO  p50 %.3f ms  p99 %.3f ms\n", bare_p50, percentile(bare_ms, 0.99));
    std::printf("edgeseg_run    p50 %.3f ms  p99 %.3f ms  (fit p50 %.3f, post p50 %.3f)\n", run_p50, run_p99, percentile(fit_ms, 0.5), percentile(post_ms, 0.5));
    std::printf("overhead: %.3f ms of %.3f allowed (1.10 x bare + 1.0): %s\n", run_p50, allowed, run_p50 <= allowed ? "holds" : "DOES NOT HOLD");
    std::printf("p99 / p50: %.2f of 1.50 allowed: %s\n", run_p99 / run_p50, run_p99 <= 1.5 * run_p50 ? "holds" : "DOES NOT HOLD");
    std::printf("resident memory grew by %ld KiB since round %d\n", resident_kib() - memory, std::min(rounds / 10, 1000));
    return 0;
}
