// Which graph or engine of a bundle runs here (contract, "Which file runs"). Never a silent fallback from what was asked for.
#pragma once

#include <functional>
#include <string>

#include "backend.hpp"
#include "manifest.hpp"

namespace edgeseg {

struct Machine {
    bool openvino = false, onnxruntime = false, tensorrt = false;  // built in
    bool vnni = true;
    std::function<Obstacle(const Engine&)> obstacle = [](const Engine&) { return Obstacle{}; };
};
Machine this_machine(std::uint32_t device);

struct Wish {
    std::uint32_t backend = EDGESEG_BACKEND_AUTO, precision = EDGESEG_PRECISION_AUTO;
    bool allow_pending = false;
};

struct Choice {
    std::uint32_t backend = EDGESEG_OPENVINO;
    Precision precision = Precision::fp32;
    Gate gate = Gate::pending;
    std::string name;         // of the graph or engine
    std::string graph;        // whose golden outputs it answers to
    File file;
};

// Throws Error(EDGESEG_E_UNSUPPORTED, _FINGERPRINT, _DEVICE, _PENDING or _BACKEND).
Choice choose(const Manifest& manifest, const Wish& wish, const Machine& machine);

}  // namespace edgeseg
