#include <openvino/frontend/manager.hpp>
#include <openvino/openvino.hpp>

#include <algorithm>
#include <new>
#include <sstream>
#include <string_view>

#include "backend.hpp"
#include "error.hpp"

namespace edgeseg {
namespace {

[[noreturn]] void mismatch(const Load& load, const std::string& what) {
    throw Error(EDGESEG_E_MANIFEST, "graph \"" + load.name + "\" " + what + ", which is not what the manifest says; export the bundle again");
}

void check_ports(const Load& load, const std::shared_ptr<ov::Model>& model) {
    if (model->inputs().size() != 1 || model->outputs().size() != 1) mismatch(load, "has other than one input and one output");
    const auto height = static_cast<std::int64_t>(load.height), width = static_cast<std::int64_t>(load.width);
    const ov::PartialShape input{1, height, width, 3}, output{1, load.channels, height, width};
    if (model->input().get_element_type() != ov::element::u8 || !model->input().get_partial_shape().compatible(input)) {
        mismatch(load, "takes " + model->input().get_element_type().to_string() + " " + model->input().get_partial_shape().to_string());
    }
    model->reshape(input);  // fixes a dynamic batch
    if (model->output().get_element_type() != ov::element::u8 || model->output().get_partial_shape() != output) {
        mismatch(load, "gives " + model->output().get_element_type().to_string() + " " + model->output().get_partial_shape().to_string());
    }
}

class OpenVino final : public Backend {
public:
    explicit OpenVino(const Load& load) {
        // Parsed from the bytes that were hashed and that hold all of the graph; as ONNX, which is what was checked: left to guess,
        // OpenVINO finds its own XML format in bytes that are a sound ONNX file too.
        std::istringstream stream(std::string(reinterpret_cast<const char*>(load.file.data()), load.file.size()));
        const ov::frontend::FrontEnd::Ptr onnx = ov::frontend::FrontEndManager().load_by_framework("onnx");
        const std::shared_ptr<ov::Model> model = onnx->convert(onnx->load(static_cast<std::istream*>(&stream)));
        check_ports(load, model);
        ov::element::Type precision = ov::element::f32;
        if (load.precision == Precision::bf16) {
            const auto can = core_.get_property("CPU", ov::device::capabilities);
            if (std::find(can.begin(), can.end(), ov::device::capability::BF16) == can.end()) {
                throw Error(EDGESEG_E_DEVICE, "this CPU has no bf16 arithmetic; ask for fp32 or int8");
            }
            precision = ov::element::bf16;
        }
        // Said always: left alone, OpenVINO computes fp32 models in bf16 where the CPU can.
        ov::AnyMap settings{ov::hint::performance_mode(ov::hint::PerformanceMode::LATENCY), ov::num_streams(1), ov::hint::inference_precision(precision)};
        if (load.threads > 0) settings.insert(ov::inference_num_threads(static_cast<int>(load.threads)));
        compiled_ = core_.compile_model(model, "CPU", settings);
        request_ = compiled_.create_infer_request();
        input_.resize(static_cast<std::size_t>(load.height) * static_cast<std::size_t>(load.width) * 3);
        output_.resize(static_cast<std::size_t>(load.height) * static_cast<std::size_t>(load.width) * static_cast<std::size_t>(load.channels));
        request_.set_input_tensor(ov::Tensor(ov::element::u8, compiled_.input().get_shape(), input_.data()));
        request_.set_output_tensor(ov::Tensor(ov::element::u8, compiled_.output().get_shape(), output_.data()));
    }

    std::uint8_t* input() noexcept override { return input_.data(); }
    const std::uint8_t* output() const noexcept override { return output_.data(); }
    void infer() override {
        try {
            request_.infer();
        } catch (const std::exception& error) {
            throw Error(EDGESEG_E_BACKEND, "OpenVINO failed on a frame: " + one_line(error.what()));
        }
    }

private:
    ov::Core core_;
    ov::CompiledModel compiled_;
    Bytes input_, output_;  // outlive the request, which holds their addresses
    ov::InferRequest request_;
};

}  // namespace

std::unique_ptr<Backend> load_openvino(const Load& load) {
    try {
        return std::make_unique<OpenVino>(load);
    } catch (const ov::Exception& error) {
        if (std::string_view(error.what()).find("bad_alloc") != std::string_view::npos) throw std::bad_alloc();  // in OpenVINO's wrapping
        throw Error(EDGESEG_E_BACKEND, "OpenVINO " + std::string(ov::get_openvino_version().buildNumber) + " cannot load \"" + load.name + "\": " + one_line(error.what()));
    }
}

}  // namespace edgeseg
