// A bundle as a folder: opened once, every file read relative to that handle, its bytes compared with their hash before anything
// parses them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "manifest.hpp"

namespace edgeseg {

using Bytes = std::vector<std::uint8_t>;

class Folder {
public:
    explicit Folder(const std::string& path);  // throws Error(EDGESEG_E_FILE)
    ~Folder();
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;

    // A regular file of at most `most` bytes, no symlink on the way. Throws Error(EDGESEG_E_FILE).
    Bytes read(const std::string& file, std::int64_t most) const;
    // The same with its size (where the manifest gives one) and hash compared. Throws Error(EDGESEG_E_FILE or EDGESEG_E_HASH).
    Bytes read(const File& file, std::int64_t most) const;
    const std::string& path() const noexcept { return path_; }  // as sentences show it: the end of a long one

private:
    std::string path_;
    int handle_ = -1;
};

struct Bundle {
    explicit Bundle(const std::string& path, const char* expected_manifest_sha256);

    Folder folder;
    std::string manifest_sha256;
    Manifest manifest;
};

}  // namespace edgeseg
