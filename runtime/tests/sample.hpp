// A small manifest, as text, for tests to change; and folders that clean up after themselves.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>

#include "sha256.hpp"

namespace sample {

inline std::string manifest() {
    const std::string hash = "\"sha256\": \"" + std::string(64, '0') + "\"";
    const auto named = [](const std::string& key) { return "\"" + key + "\": \"" + std::string(64, '0') + "\""; };
    return R"({"format": "edgeseg", "schema": 1, "kind": "bundle", "name": "sample", "created": "2026-11-21T09:30:00Z", "writer": "test",
 "task": {"kind": "segmentation", "modality": "other", "network": "npnet"},
 "classes": [{"name": "background", "color": "#000000"}, {"name": "polyp", "color": "#00e5A0", "threshold": 128}],
 "frame": {"height": 24, "width": 32, "channels": 3, "layout": "NHWC", "dtype": "uint8", "order": "BGR",
  "fit": {"region": "frame", "content_level": 24, "mode": "pad", "enlarge": true, "pad_value": 0, "interpolation": "bilinear"}, "steps": []},
 "output": {"name": "probability", "layout": "NCHW", "dtype": "uint8", "channels": 1, "height": 24, "width": 32, "scale": 255,
  "upsample": "bilinear", "min_area": 0.0, "smoothing": 0.0},
 "training": {"recipe": "r", "seed": 0, "epochs": 1, "epoch": 1, "commit": "0", "dirty": false, "parameters": 1, "gmac": 0.5, )" +
           named("recipe_sha256") + ", " + named("weights_sha256") + R"(, "versions": [], "data": [], "splits": []},
 "graphs": [{"name": "float", "form": "float", "precision": "fp32", "opset": 17, "input": [1, 24, 32, 3], "resize": "host",
  "float_layers": [], "gate": "passed", "file": "graphs/float.onnx", "size": 5, )" +
           hash + R"(}],
 "golden": [{"name": "g0", "source": "test", "height": 24, "width": 32, "file": "golden/g0.frame.u8", )" + hash +
           R"(, "fitted_file": "golden/g0.fitted.u8", )" + named("fitted_sha256") +
           R"(, "expected": [{"graph": "float", "max_diff": 1, "max_fraction": 0.0, "file": "golden/g0.float.u8", )" + hash + R"(}]}],
 "terms": {"weights_licence": "CC0-1.0", "research_only": false, "notice": ""},
 "use": {"intended": "tests", "not_intended": [], "frames": "any"}})";
}

// The sample with `from` replaced by `to`, which must be in it.
inline std::string changed(const std::string& from, const std::string& to) {
    std::string text = manifest();
    const std::size_t at = text.find(from);
    if (at == std::string::npos) throw std::logic_error("the sample does not hold " + from);
    return text.replace(at, from.size(), to);
}

class TemporaryFolder {
public:
    TemporaryFolder() {
        std::string path = (std::filesystem::temp_directory_path() / "edgeseg-XXXXXX").string();
        if (::mkdtemp(path.data()) == nullptr) throw std::runtime_error("mkdtemp");
        path_ = path;
    }
    ~TemporaryFolder() { std::filesystem::remove_all(path_); }
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;

    const std::filesystem::path& path() const { return path_; }
    void write(const std::string& file, const std::string& data) const {
        std::filesystem::create_directories((path_ / file).parent_path());
        std::ofstream(path_ / file, std::ios::binary) << data;
    }
    void write_manifest(const std::string& text) const {
        write("manifest.json", text);
        write("manifest.sha256", edgeseg::sha256(text.data(), text.size()) + "  manifest.json\n");
    }

private:
    std::filesystem::path path_;
};

}  // namespace sample
