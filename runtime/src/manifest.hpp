// The part of manifest.json that running a bundle needs (contract, section A).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace edgeseg {

struct Fit {
    enum class Mode { resize, pad, crop };

    bool content = false;  // region: content, else the whole frame
    int content_level = 24;
    Mode mode = Mode::pad;
    bool enlarge = true;
    std::uint8_t pad_value = 0;
};

struct Clahe {
    double clip_limit = 0.0;
    int tiles = 8;
};

struct Class {
    std::string name;
    std::uint8_t r = 0, g = 0, b = 0;
    std::uint8_t threshold = 0;  // 0: the background
};

enum class Precision { fp32, bf16, fp16, int8 };
enum class Gate { passed, parity, pending };
const char* to_string(Precision precision) noexcept;

struct File {
    std::string path;
    std::int64_t size = -1;  // -1: the manifest gives none
    std::string sha256;
};

struct Graph {
    std::string name;
    std::string form;  // float, cpu, trt-typed, trt-legacy
    Precision precision = Precision::fp32;
    std::array<std::int64_t, 4> input{};  // batch (0: dynamic), height, width, 3
    bool host_resize = true;
    Gate gate = Gate::pending;
    File file;
};

struct Engine {
    std::string name;
    std::string target;
    std::string graph, graph_sha256;  // what it was built from
    bool rtx = false;
    std::string version;
    Precision precision = Precision::fp16;
    std::string platform;
    std::vector<std::string> compute_capabilities;
    bool ampere_plus = false;  // hardware compatible with every compute capability from 8.0 on
    std::int64_t cuda_driver_min = 0;
    std::array<std::int64_t, 4> profile_min{}, profile_max{};
    bool host_resize = true;
    Gate gate = Gate::pending;
    File file;
};

struct Expected {
    std::string graph;
    int max_diff = 0;
    double max_fraction = 0.0;
    File file;
};

struct Golden {
    std::string name;
    int height = 0, width = 0;
    File frame, fitted;
    std::vector<Expected> expected;
};

struct Manifest {
    std::string name;
    std::vector<Class> classes;  // the background first
    int height = 0, width = 0;   // of the network
    Fit fit;
    std::vector<Clahe> steps;
    bool upsample_nearest = false;
    double min_area = 0.0;
    double smoothing = 0.0;
    std::vector<Graph> graphs;
    std::vector<Engine> engines;
    std::vector<Golden> golden;

    int channels() const noexcept { return static_cast<int>(classes.size()) - 1; }
};

// Throws Error(EDGESEG_E_MANIFEST or EDGESEG_E_UNSUPPORTED) whose sentence follows "manifest.json ".
Manifest parse_manifest(const char* data, std::size_t size);

}  // namespace edgeseg
