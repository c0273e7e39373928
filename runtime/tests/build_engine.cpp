// Builds a TensorRT or TensorRT for RTX engine from an ONNX file, for checks of the TensorRT backend: the library itself never builds.
// Usage: build_engine GRAPH.onnx OUT.engine
#include <NvInfer.h>
#include <NvOnnxParser.h>

#include <cstdio>
#include <fstream>
#include <memory>

namespace {

class Log final : public nvinfer1::ILogger {
    void log(Severity severity, const char* message) noexcept override {
        if (severity <= Severity::kWARNING) std::fprintf(stderr, "%s\n", message);
    }
};

}  // namespace

int main(int count, char** arguments) {
    if (count != 3) return 2;
    Log log;
    std::printf("library %d\n", static_cast<int>(getInferLibVersion()));
    const std::unique_ptr<nvinfer1::IBuilder> builder(nvinfer1::createInferBuilder(log));
#if !defined(TRT_MAJOR_RTX) && NV_TENSORRT_MAJOR < 10
    constexpr std::uint32_t flags = 1U << static_cast<std::uint32_t>(nvinfer1::NetworkDefinitionCreationFlag::kEXPLICIT_BATCH);
#else
    constexpr std::uint32_t flags = 1U << static_cast<std::uint32_t>(nvinfer1::NetworkDefinitionCreationFlag::kSTRONGLY_TYPED);
#endif
    const std::unique_ptr<nvinfer1::INetworkDefinition> network(builder->createNetworkV2(flags));
    const std::unique_ptr<nvonnxparser::IParser> parser(nvonnxparser::createParser(*network, log));
    if (!parser->parseFromFile(arguments[1], static_cast<int>(nvinfer1::ILogger::Severity::kWARNING))) return 1;
    const std::unique_ptr<nvinfer1::IBuilderConfig> config(builder->createBuilderConfig());
    const std::unique_ptr<nvinfer1::IHostMemory> plan(builder->buildSerializedNetwork(*network, *config));
    if (plan == nullptr) return 1;
    std::ofstream(arguments[2], std::ios::binary).write(static_cast<const char*>(plan->data()), static_cast<std::streamsize>(plan->size()));
    std::printf("engine of %zu bytes\n", static_cast<std::size_t>(plan->size()));
    return 0;
}
