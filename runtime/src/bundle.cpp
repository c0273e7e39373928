#include "bundle.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string_view>

#include "error.hpp"
#include "sha256.hpp"

namespace edgeseg {
namespace {

class Handle {
public:
    explicit Handle(int value) : value_(value) {}
    ~Handle() {
        if (value_ >= 0) ::close(value_);
    }
    Handle(const Handle&) = delete;
    Handle& operator=(const Handle&) = delete;
    void reset(int value) {
        if (value_ >= 0) ::close(value_);
        value_ = value;
    }
    int get() const noexcept { return value_; }

private:
    int value_;
};

// strerror_r in its GNU form returns the text; strerror itself is not thread-safe.
std::string reason(int error) {
    char buffer[128];
    return ::strerror_r(error, buffer, sizeof buffer);
}

// A path in a sentence: its end, if it is so long that the reason would not fit behind it.
std::string shown(const std::string& path) {
    constexpr std::size_t most = 200;
    if (path.size() <= most) return path;
    std::size_t from = path.size() - most;
    while (from < path.size() && (static_cast<unsigned char>(path[from]) & 0xC0U) == 0x80U) ++from;  // not within a UTF-8 character
    return "..." + path.substr(from);
}

[[noreturn]] void cannot_open(const std::string& where, int error) {
    if (error == ELOOP || error == ENOTDIR) throw Error(EDGESEG_E_FILE, where + " is or passes a symlink or a non-folder; bundles hold plain files only");
    throw Error(EDGESEG_E_FILE, where + " cannot be opened (" + reason(error) + "); check the path and its permissions");
}

std::string one_line_hash(const Bytes& line) {
    constexpr std::string_view rest = "  manifest.json";
    const std::string_view text(reinterpret_cast<const char*>(line.data()), line.size());
    const std::string_view body = text.substr(0, text.find('\n'));
    const bool one_line = text.size() <= body.size() + 1;
    if (!one_line || body.size() != 64 + rest.size() || body.substr(64) != rest) {
        throw Error(EDGESEG_E_HASH, "manifest.sha256 is not one line \"<sha256>  manifest.json\"; export the bundle again");
    }
    return std::string(body.substr(0, 64));
}

bool same_hex(const std::string& lower, const char* any) {
    if (std::strlen(any) != lower.size()) return false;
    for (std::size_t i = 0; i < lower.size(); ++i) {
        const char c = any[i];
        if (lower[i] != (c >= 'A' && c <= 'F' ? static_cast<char>(c + 32) : c)) return false;
    }
    return true;
}

}  // namespace

Folder::Folder(const std::string& path) : path_(shown(path)), handle_(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
    if (handle_ < 0) {
        const int error = errno;
        throw Error(EDGESEG_E_FILE, path_ + " cannot be opened as a bundle folder (" + reason(error) + "); give the path of the folder that holds manifest.json");
    }
}

Folder::~Folder() { ::close(handle_); }

Bytes Folder::read(const std::string& file, std::int64_t most) const {
    const std::string where = path_ + "/" + file;
    Handle folder(-1);
    std::string_view rest = file;
    int parent = handle_;
    for (std::size_t slash; (slash = rest.find('/')) != std::string_view::npos; rest.remove_prefix(slash + 1)) {
        const std::string segment(rest.substr(0, slash));
        const int next = ::openat(parent, segment.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (next < 0) cannot_open(where, errno);
        folder.reset(next);
        parent = next;
    }
    // O_NONBLOCK: a FIFO in place of a file must not hang us before fstat sees it.
    const Handle handle(::openat(parent, std::string(rest).c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    if (handle.get() < 0) cannot_open(where, errno);
    struct stat about {};
    if (::fstat(handle.get(), &about) != 0) cannot_open(where, errno);
    if (!S_ISREG(about.st_mode)) throw Error(EDGESEG_E_FILE, where + " is no regular file");
    if (about.st_size > most) {
        throw Error(EDGESEG_E_FILE, where + " has " + std::to_string(about.st_size) + " bytes, more than the " + std::to_string(most) + " allowed here");
    }
    Bytes bytes(static_cast<std::size_t>(about.st_size));
    std::size_t filled = 0;
    while (filled < bytes.size()) {
        const ssize_t got = ::read(handle.get(), bytes.data() + filled, bytes.size() - filled);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) throw Error(EDGESEG_E_FILE, where + " cannot be read (" + reason(errno) + ")");
        if (got == 0) throw Error(EDGESEG_E_FILE, where + " became shorter while it was read");
        filled += static_cast<std::size_t>(got);
    }
    return bytes;
}

Bytes Folder::read(const File& file, std::int64_t most) const {
    if (file.size > most) {
        throw Error(EDGESEG_E_UNSUPPORTED, path_ + "/" + file.path + " is said to have " + std::to_string(file.size) + " bytes, beyond this library's " + std::to_string(most));
    }
    Bytes bytes = read(file.path, most);
    const bool right_size = file.size < 0 || bytes.size() == static_cast<std::size_t>(file.size);
    if (!right_size || sha256(bytes.data(), bytes.size()) != file.sha256) {
        throw Error(EDGESEG_E_HASH, path_ + "/" + file.path + " is not what the manifest lists (" + (right_size ? "SHA-256" : "size") +
                                        " differs); copy or export the bundle again");
    }
    return bytes;
}

Bundle::Bundle(const std::string& path, const char* expected_manifest_sha256) : folder(path) {
    constexpr std::int64_t most_manifest = 1 << 20;
    const std::string listed = one_line_hash(folder.read("manifest.sha256", 256));
    const Bytes bytes = folder.read("manifest.json", most_manifest);
    manifest_sha256 = sha256(bytes.data(), bytes.size());
    if (manifest_sha256 != listed) {
        throw Error(EDGESEG_E_HASH, folder.path() + "/manifest.json was changed (its SHA-256 is not the one in manifest.sha256); copy or export the bundle again");
    }
    if (expected_manifest_sha256 != nullptr && !same_hex(manifest_sha256, expected_manifest_sha256)) {
        throw Error(EDGESEG_E_HASH, folder.path() + "/manifest.json has SHA-256 " + manifest_sha256 + ", not the one expected by the caller");
    }
    try {
        manifest = parse_manifest(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    } catch (const Error& error) {
        throw Error(error.status(), folder.path() + "/manifest.json " + error.what());
    }
}

}  // namespace edgeseg
