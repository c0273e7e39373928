#include "onnx_check.hpp"

#include "error.hpp"

namespace edgeseg {
namespace {

// Messages of onnx.proto that can hold a tensor, and TensorProto itself. `none`: a field that is not entered.
enum class Message { none, model, graph, node, attribute, function, sparse, tensor };

Message inside(Message message, std::uint64_t field) {
    switch (message) {
        case Message::model: return field == 7 ? Message::graph : field == 25 ? Message::function : Message::none;
        case Message::graph: return field == 1 ? Message::node : field == 5 ? Message::tensor : field == 15 ? Message::sparse : Message::none;
        case Message::function: return field == 7 ? Message::node : field == 11 ? Message::attribute : Message::none;
        case Message::node: return field == 5 ? Message::attribute : Message::none;
        case Message::attribute:
            if (field == 5 || field == 10) return Message::tensor;
            if (field == 6 || field == 11) return Message::graph;
            return field == 22 || field == 23 ? Message::sparse : Message::none;
        case Message::sparse: return field == 1 || field == 2 ? Message::tensor : Message::none;
        default: return Message::none;
    }
}

constexpr int most_depth = 40;  // graphs inside attributes inside graphs; real ones have one or two

class Walker {
public:
    void walk(const std::uint8_t* at, const std::uint8_t* end, Message message, int depth) {
        if (depth > most_depth) refuse("is nested too deeply");
        while (at < end) {
            const std::uint64_t key = varint(at, end), field = key >> 3;
            if (message == Message::tensor && (field == 13 || field == 14)) external(key, at, end);
            switch (key & 7) {
                case 0: varint(at, end); break;
                case 1: skip(at, end, 8); break;
                case 5: skip(at, end, 4); break;
                case 2: {
                    const std::uint64_t size = varint(at, end);
                    const std::uint8_t* const start = at;
                    skip(at, end, size);
                    const Message child = inside(message, field);
                    if (child != Message::none) walk(start, at, child, depth + 1);
                    break;
                }
                default: refuse("is no ONNX file");
            }
        }
    }

private:
    [[noreturn]] static void refuse(const char* why) { throw Error(EDGESEG_E_MANIFEST, why); }

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

void check_onnx(const Bytes& model) { Walker().walk(model.data(), model.data() + model.size(), Message::model, 0); }

}  // namespace edgeseg
