#include "onnx_check.hpp"

#include <algorithm>
#include <iterator>
#include <string_view>

#include "backend.hpp"
#include "error.hpp"

namespace edgeseg {
namespace {

// As in edgeseg/onnx_metadata.py, in the order of their bytes. No loops, and none of those that make a tensor from a shape alone: a few
// hundred bytes would take a device's memory or never end.
constexpr std::string_view allowed_ops[] = {
    "Abs", "Add", "And", "AveragePool", "BatchNormalization", "Cast", "Ceil", "Celu", "Clip", "Concat", "Constant", "Conv",
    "ConvTranspose", "Cos", "DepthToSpace", "DequantizeLinear", "Div", "Einsum", "Elu", "Equal", "Erf", "Exp", "Flatten",
    "Floor", "Gather", "Gelu", "Gemm", "GlobalAveragePool", "GlobalMaxPool", "Greater", "GreaterOrEqual", "GridSample",
    "GroupNormalization", "HardSigmoid", "HardSwish", "Identity", "InstanceNormalization", "LRN", "LayerNormalization",
    "LeakyRelu", "Less", "LessOrEqual", "Log", "LogSoftmax", "LpNormalization", "MatMul", "Max", "MaxPool", "Mean", "Min",
    "Mish", "Mul", "Neg", "Not", "Or", "PRelu", "Pad", "Pow", "QuantizeLinear", "Reciprocal", "ReduceL2", "ReduceMax",
    "ReduceMean", "ReduceMin", "ReduceSum", "Relu", "Reshape", "Resize", "Round", "Selu", "Shape", "Sigmoid", "Sign", "Sin",
    "Slice", "Softmax", "Softplus", "Softsign", "SpaceToDepth", "Split", "Sqrt", "Squeeze", "Sub", "Sum", "Tanh",
    "ThresholdedRelu", "Transpose", "Unsqueeze", "Where"};

// Messages of onnx.proto that can hold a tensor, and TensorProto itself. `none`: a field that is not entered.
enum class Message { none, model, graph, node, attribute, sparse, tensor };

Message inside(Message message, std::uint64_t field) {
    switch (message) {
        case Message::model: return field == 7 ? Message::graph : Message::none;
        case Message::graph: return field == 1 ? Message::node : field == 5 ? Message::tensor : field == 15 ? Message::sparse : Message::none;
        case Message::node: return field == 5 ? Message::attribute : Message::none;
        case Message::attribute: return field == 5 || field == 10 ? Message::tensor : field == 22 || field == 23 ? Message::sparse : Message::none;
        case Message::sparse: return field == 1 || field == 2 ? Message::tensor : Message::none;
        default: return Message::none;
    }
}

// ModelProto.functions, AttributeProto.g and graphs: bodies of loops and branches.
bool is_flow(Message message, std::uint64_t field) {
    return (message == Message::model && field == 25) || (message == Message::attribute && (field == 6 || field == 11));
}

class Walker {
public:
    void walk(const std::uint8_t* at, const std::uint8_t* end, Message message) {
        std::string_view op;
        while (at < end) {
            const std::uint64_t key = varint(at, end), field = key >> 3;
            if (key >> 32 != 0) refuse("is no ONNX file");  // runtimes cut a key to 32 bits, and would see another field
            if (message == Message::tensor && (field == 13 || field == 14)) external(key, at, end);
            switch (key & 7) {
                case 0: varint(at, end); break;
                case 1: skip(at, end, 8); break;
                case 5: skip(at, end, 4); break;
                case 2: {
                    const std::uint64_t size = varint(at, end);
                    const std::uint8_t* const start = at;
                    skip(at, end, size);
                    if (is_flow(message, field)) refuse("has graphs within graphs (loops, branches or functions), which edgeseg never writes; export it again");
                    const std::string_view text(reinterpret_cast<const char*>(start), static_cast<std::size_t>(size));
                    if (message == Message::node && field == 4) op = text;
                    if (message == Message::node && field == 7 && !text.empty() && text != "ai.onnx") refuse_op(text);
                    const Message child = inside(message, field);
                    if (child != Message::none) walk(start, at, child);
                    break;
                }
                default: refuse("is no ONNX file");
            }
        }
        if (message == Message::node && !std::binary_search(std::begin(allowed_ops), std::end(allowed_ops), op)) refuse_op(op);
    }

private:
    [[noreturn]] static void refuse(const std::string& why) { throw Error(EDGESEG_E_MANIFEST, why); }
    [[noreturn]] static void refuse_op(std::string_view name) {
        refuse("has operators of \"" + one_line(std::string(name.substr(0, 60)).c_str()) + "\", which edgeseg does not run; export it again");
    }

    static std::uint64_t varint(const std::uint8_t*& at, const std::uint8_t* end) {
        std::uint64_t value = 0;
        for (int shift = 0; shift < 64; shift += 7) {
            if (at == end) refuse("is no ONNX file");
            const std::uint8_t byte = *at++;
            value |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
            if (byte < 0x80) return value;
        }
        refuse("is no ONNX file");
    }
    static void skip(const std::uint8_t*& at, const std::uint8_t* end, std::uint64_t size) {
        if (size > static_cast<std::uint64_t>(end - at)) refuse("is no ONNX file");
        at += size;
    }
    // data_location (14) may be there with its default 0; anything else points out of the file.
    static void external(std::uint64_t key, const std::uint8_t* at, const std::uint8_t* end) {
        if (key != (14U << 3) || varint(at, end) != 0) refuse("keeps tensors in other files, which a bundle does not allow; export it as a single file");
    }
};

}  // namespace

void check_onnx(const Bytes& model) { Walker().walk(model.data(), model.data() + model.size(), Message::model); }

}  // namespace edgeseg
