// Opens a bundle with an engine. With a GPU its golden frames must pass; without one, the library must say so and nothing else.
// Usage: test_tensorrt BUNDLE
#include <cstdio>
#include <string>

#include <edgeseg/edgeseg.hpp>

int main(int count, char** arguments) {
    if (count != 2) return 2;
    edgeseg::Options options;
    options.backend = EDGESEG_TENSORRT;
    options.precision = EDGESEG_FP32;
    options.allow_pending = 1;
    try {
        edgeseg::Session session(arguments[1], options);
        std::printf("%s: %u golden frames pass\n", session.info().engine, session.selftest());
        return 0;
    } catch (const edgeseg::Failure& failure) {
        std::printf("%d %s\n", failure.status(), failure.what());
        return failure.status() == EDGESEG_E_DEVICE && std::string(failure.what()).find("driver") != std::string::npos ? 0 : 1;
    }
}
