// An engine is load, run, close. Only a backend's own file includes its runtime's headers.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "bundle.hpp"
#include "edgeseg/edgeseg.h"
#include "manifest.hpp"

namespace edgeseg {

class Backend {
public:
    virtual ~Backend() = default;
    // [height][width][3] BGR to be filled, and [channels][height][width] as left by infer(). Both live as long as the backend.
    virtual std::uint8_t* input() noexcept = 0;
    virtual const std::uint8_t* output() const noexcept = 0;
    virtual void infer() = 0;  // throws Error(EDGESEG_E_BACKEND, ...)
};

struct Load {
    Bytes file;  // hash already compared
    std::string name;
    Precision precision = Precision::fp32;
    int height = 0, width = 0, channels = 0;
    std::uint32_t threads = 0, device = 0;
};

// Why an engine cannot run here; status EDGESEG_OK: it can.
struct Obstacle {
    edgeseg_status status = EDGESEG_OK;
    std::string why;
};

#ifdef EDGESEG_WITH_OPENVINO
std::unique_ptr<Backend> load_openvino(const Load& load);
#endif
#ifdef EDGESEG_WITH_ONNXRUNTIME
std::unique_ptr<Backend> load_onnxruntime(const Load& load);
#endif
#ifdef EDGESEG_WITH_TENSORRT
std::unique_ptr<Backend> load_tensorrt(const Load& load);
Obstacle tensorrt_obstacle(const Engine& engine, std::uint32_t device);
#endif

// Runtimes' messages run over many lines; a sentence of ours has one.
std::string one_line(const char* text);

}  // namespace edgeseg
