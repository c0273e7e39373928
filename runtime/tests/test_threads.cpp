// Sessions opened, run and closed in 8 threads at once. Usage: test_threads BUNDLES [ROUNDS]
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include <edgeseg/edgeseg.hpp>

int main(int count, char** arguments) {
    if (count < 2) return 2;
    const std::string bundles = arguments[1];
    const int rounds = count > 2 ? std::atoi(arguments[2]) : 3;
    std::atomic<int> failures{0}, runs{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 8; ++t) {
        threads.emplace_back([&, t] {
            try {
                for (int round = 0; round < rounds; ++round) {
                    edgeseg::Options options;
                    options.threads = 1;
                    edgeseg::Session session(bundles + (t % 2 == 0 ? "/polyp.edgeseg" : "/organs.edgeseg"), options);
                    std::vector<std::uint8_t> pixels(200 * 150 * 3);
                    for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<std::uint8_t>(50 + i / 3 % 150 + i % 3 * 9);
                    edgeseg::Frame frame(EDGESEG_BGR, 200, 150, pixels.data());
                    for (int i = 0; i < 10; ++i) {
                        frame.sequence = static_cast<std::uint64_t>(i);
                        const edgeseg::Result& result = session.run(frame, EDGESEG_MASK_FRAME);
                        if (result.mask.size() != 200 * 150 || result.raw.sequence != frame.sequence) ++failures;
                        ++runs;
                    }
                    if (session.selftest() == 0) ++failures;
                }
            } catch (const edgeseg::Failure& error) {
                std::fprintf(stderr, "%s\n", error.what());
                ++failures;
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    std::printf("%d runs in 8 threads, %d failures\n", runs.load(), failures.load());
    return failures == 0 && runs == 8 * rounds * 10 ? 0 : 1;
}
