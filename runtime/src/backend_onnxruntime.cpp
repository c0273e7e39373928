#include <onnxruntime_cxx_api.h>

#include <array>

#include "backend.hpp"
#include "error.hpp"

namespace edgeseg {
namespace {

class OnnxRuntime final : public Backend {
public:
    explicit OnnxRuntime(const Load& load) : environment_(ORT_LOGGING_LEVEL_FATAL, "edgeseg") {
        // What it sends to Microsoft, less the event of its start: that goes out before, and only the program's environment stops it.
        environment_.DisableTelemetryEvents();
        Ort::SessionOptions options;
        options.SetIntraOpNumThreads(static_cast<int>(load.threads));
        options.SetInterOpNumThreads(1);
        // Silently wrong on INT8 graphs with FP16 scales.
        options.AddConfigEntry("optimization.disable_specified_optimizers", "WeightBiasQuantization");
        // Without VNNI weights beyond 7 bits overflow silently; so they are computed in 16 bits there. Elsewhere it changes nothing.
        options.AddConfigEntry("session.x64quantprecision", "1");
        session_ = Ort::Session(environment_, load.file.data(), load.file.size(), options);
        const std::array<std::int64_t, 4> input{1, load.height, load.width, 3}, output{1, load.channels, load.height, load.width};
        check_ports(load, input, output);
        input_.resize(count(input));
        output_.resize(count(output));
        const Ort::MemoryInfo memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
        input_value_ = Ort::Value::CreateTensor<std::uint8_t>(memory, input_.data(), input_.size(), input.data(), input.size());
        output_value_ = Ort::Value::CreateTensor<std::uint8_t>(memory, output_.data(), output_.size(), output.data(), output.size());
    }

    std::uint8_t* input() noexcept override { return input_.data(); }
    const std::uint8_t* output() const noexcept override { return output_.data(); }
    void infer() override {
        try {
            const char* const in = input_name_.c_str();
            const char* const out = output_name_.c_str();
            session_.Run(Ort::RunOptions{nullptr}, &in, &input_value_, 1, &out, &output_value_, 1);
        } catch (const Ort::Exception& error) {
            throw Error(EDGESEG_E_BACKEND, "ONNX Runtime failed on a frame: " + one_line(error.what()));
        }
    }

private:
    using Shape = std::array<std::int64_t, 4>;

    static std::size_t count(const Shape& shape) { return static_cast<std::size_t>(shape[1] * shape[2] * shape[3]); }

    static bool fits(const Ort::TypeInfo& type, const Shape& shape) {
        const auto tensor = type.GetTensorTypeAndShapeInfo();
        const std::vector<std::int64_t> has = tensor.GetShape();
        if (tensor.GetElementType() != ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8 || has.size() != shape.size()) return false;
        for (std::size_t i = 0; i < has.size(); ++i) {
            if (has[i] >= 0 && has[i] != shape[i]) return false;
        }
        return true;
    }

    void check_ports(const Load& load, const Shape& input, const Shape& output) {
        if (session_.GetInputCount() != 1 || session_.GetOutputCount() != 1 || !fits(session_.GetInputTypeInfo(0), input) ||
            !fits(session_.GetOutputTypeInfo(0), output)) {
            throw Error(EDGESEG_E_MANIFEST, "graph \"" + load.name + "\" has other inputs or outputs than the manifest says; export the bundle again");
        }
        Ort::AllocatorWithDefaultOptions allocator;
        input_name_ = session_.GetInputNameAllocated(0, allocator).get();
        output_name_ = session_.GetOutputNameAllocated(0, allocator).get();
    }

    Ort::Env environment_;
    Ort::Session session_{nullptr};
    std::string input_name_, output_name_;
    Bytes input_, output_;
    Ort::Value input_value_{nullptr}, output_value_{nullptr};
};

}  // namespace

std::unique_ptr<Backend> load_onnxruntime(const Load& load) {
    try {
        return std::make_unique<OnnxRuntime>(load);
    } catch (const Ort::Exception& error) {
        throw Error(EDGESEG_E_BACKEND, std::string("ONNX Runtime ") + OrtGetApiBase()->GetVersionString() + " cannot load \"" + load.name + "\": " + one_line(error.what()));
    }
}

}  // namespace edgeseg
