#include "choose.hpp"

#include <vector>

#include "cpu.hpp"
#include "error.hpp"

namespace edgeseg {
namespace {

const char* backend_name(std::uint32_t backend) {
    switch (backend) {
        case EDGESEG_ONNXRUNTIME: return "onnxruntime";
        case EDGESEG_OPENVINO: return "openvino";
        case EDGESEG_TENSORRT: return "tensorrt";
        default: return "auto";
    }
}

bool built_in(std::uint32_t backend, const Machine& machine) {
    if (backend == EDGESEG_TENSORRT) return machine.tensorrt;
    return backend == EDGESEG_OPENVINO ? machine.openvino : machine.onnxruntime;
}

// Looks through a manifest for one backend and remembers why what it saw was not taken.
class Search {
public:
    Search(const Manifest& manifest, const Wish& wish, const Machine& machine) : manifest_(manifest), wish_(wish), machine_(machine) {}

    bool find(std::uint32_t backend, Choice& out) {
        std::vector<Precision> order{Precision::int8, Precision::fp16, Precision::fp32};
        if (wish_.precision != EDGESEG_PRECISION_AUTO) order = {static_cast<Precision>(wish_.precision - 1)};
        std::vector<Gate> gates{Gate::passed, Gate::parity};
        const bool named = wish_.backend != EDGESEG_BACKEND_AUTO && wish_.precision != EDGESEG_PRECISION_AUTO;
        if (named && wish_.allow_pending) gates.push_back(Gate::pending);
        for (const Gate gate : gates) {
            for (const Precision precision : order) {
                const bool found = backend == EDGESEG_TENSORRT ? find_engine(precision, gate, out) : find_graph(backend, precision, gate, out);
                if (found) return true;
            }
        }
        return false;
    }

    // What is most worth telling: an engine that does not fit, then a gate that is pending, then that there is nothing.
    [[noreturn]] void give_up() const {
        if (obstacle_.status != EDGESEG_OK) throw Error(obstacle_.status, obstacle_.why);
        if (!pending_.empty()) {
            throw Error(EDGESEG_E_PENDING, "\"" + pending_ + "\" has not passed its gate on such a device: run `edgeseg verify --update` there, or name backend and precision and set allow_pending");
        }
        if (!saturating_.empty()) {
            throw Error(EDGESEG_E_UNSUPPORTED, "bundle \"" + manifest_.name + "\": this CPU has no VNNI, and the 8-bit weights of \"" + saturating_ + "\" would overflow in OpenVINO on it: take fp32, a library with ONNX Runtime, or export again for x86 (int8-cpu-7bit)");
        }
        const std::string precision = wish_.precision == EDGESEG_PRECISION_AUTO ? "" : std::string(" in ") + to_string(static_cast<Precision>(wish_.precision - 1));
        throw Error(EDGESEG_E_UNSUPPORTED, "bundle \"" + manifest_.name + "\" holds nothing that " + backend_name(wish_.backend) + " of this library can run" + precision + "; export it with that form");
    }

private:
    bool find_graph(std::uint32_t backend, Precision precision, Gate gate, Choice& out) {
        if (precision == Precision::fp16 || (precision == Precision::bf16 && backend != EDGESEG_OPENVINO)) return false;
        const Graph* best = nullptr;
        for (const Graph& graph : manifest_.graphs) {
            const bool right = precision == Precision::int8 ? graph.form == "cpu" && graph.precision == Precision::int8
                                                            : graph.form == "float" && graph.precision == Precision::fp32;
            if (!right || !runs_frame(graph)) continue;
            if (!computes(backend, graph)) {
                saturating_ = graph.name;
                continue;
            }
            if (graph.gate != gate) {
                note_pending(graph.gate, graph.name);
                continue;
            }
            if (best == nullptr || rank(graph) > rank(*best)) best = &graph;
        }
        if (best == nullptr) return false;
        // The float graph's accuracy was measured in fp32; in bf16 it is parity at best.
        const Gate held = precision == Precision::bf16 && gate == Gate::passed ? Gate::parity : gate;
        out = {backend, precision, held, best->name, best->name, best->file};
        return true;
    }

    bool find_engine(Precision precision, Gate gate, Choice& out) {
        for (const Engine& engine : manifest_.engines) {
            if (engine.precision != precision || !runs_frame(engine)) continue;
            if (engine.gate != gate) {
                note_pending(engine.gate, engine.name);
                continue;
            }
            const Obstacle obstacle = other_graph(engine) ? Obstacle{EDGESEG_E_FINGERPRINT, "engine \"" + engine.name + "\" was built from another graph than the bundle's; rebuild it: edgeseg export BUNDLE --target " + engine.target} : machine_.obstacle(engine);
            if (obstacle.status == EDGESEG_OK) {
                out = {EDGESEG_TENSORRT, precision, gate, engine.name, engine.graph, engine.file};
                return true;
            }
            if (obstacle_.status == EDGESEG_OK) obstacle_ = obstacle;
        }
        return false;
    }

    // As edgeseg/backends/fingerprint.py: the graph of the engine's name is another now, or there is none.
    bool other_graph(const Engine& engine) const {
        for (const Graph& graph : manifest_.graphs) {
            if (graph.name == engine.graph) return graph.file.sha256 != engine.graph_sha256;
        }
        return true;
    }

    // One frame of the network's size at a time: graphs with a larger fixed batch, or tied to a camera's size, are for others.
    bool runs_frame(const Graph& graph) const {
        return graph.host_resize && graph.input[0] <= 1 && graph.input[1] == manifest_.height && graph.input[2] == manifest_.width && graph.input[3] == 3;
    }
    bool runs_frame(const Engine& engine) const {
        return engine.host_resize && engine.profile_min[0] <= 1 && engine.profile_max[0] >= 1 && engine.profile_max[1] == manifest_.height &&
               engine.profile_max[2] == manifest_.width;
    }
    // Without VNNI full-range weights overflow in OpenVINO without a word; ONNX Runtime takes them right (backend_onnxruntime.cpp).
    bool computes(std::uint32_t backend, const Graph& graph) const {
        return machine_.vnni || backend != EDGESEG_OPENVINO || graph.form != "cpu" || graph.name.find("7bit") != std::string::npos;
    }
    // Of the int8 graphs the one with 7-bit weights is for CPUs without VNNI, the plain one for all else; then a batch of just one
    // comes before any batch. As edgeseg/backends/__init__.py has it.
    int rank(const Graph& graph) const {
        const bool suits = graph.form == "cpu" && graph.name == (machine_.vnni ? "int8-cpu" : "int8-cpu-7bit");
        return (suits ? 2 : 0) + (graph.input[0] == 1 ? 1 : 0);
    }
    void note_pending(Gate gate, const std::string& name) {
        if (gate == Gate::pending && pending_.empty()) pending_ = name;
    }

    const Manifest& manifest_;
    const Wish& wish_;
    const Machine& machine_;
    Obstacle obstacle_;
    std::string pending_, saturating_;
};

}  // namespace

Machine this_machine(std::uint32_t device) {
    Machine machine;
    machine.vnni = has_vnni();
    (void)device;
#ifdef EDGESEG_WITH_OPENVINO
    machine.openvino = true;
#endif
#ifdef EDGESEG_WITH_ONNXRUNTIME
    machine.onnxruntime = true;
#endif
#ifdef EDGESEG_WITH_TENSORRT
    machine.tensorrt = true;
    machine.obstacle = [device](const Engine& engine) { return tensorrt_obstacle(engine, device); };
#endif
    return machine;
}

Choice choose(const Manifest& manifest, const Wish& wish, const Machine& machine) {
    if (wish.backend != EDGESEG_BACKEND_AUTO && !built_in(wish.backend, machine)) {
        throw Error(EDGESEG_E_UNSUPPORTED, std::string("this library was built without ") + backend_name(wish.backend) + "; use one that was built with it");
    }
    Search search(manifest, wish, machine);
    Choice choice;
    for (const std::uint32_t backend : {EDGESEG_TENSORRT, EDGESEG_OPENVINO, EDGESEG_ONNXRUNTIME}) {
        const bool wanted = wish.backend == EDGESEG_BACKEND_AUTO || wish.backend == backend;
        if (wanted && built_in(backend, machine) && search.find(backend, choice)) return choice;
    }
    search.give_up();
}

}  // namespace edgeseg
