// The border: structs of any age in, exceptions turned into statuses, nothing thrown out.
#include <algorithm>
#include <cstring>
#include <limits>
#include <new>

#include "error.hpp"
#include "session.hpp"

struct edgeseg_session {
    std::unique_ptr<edgeseg::Session> session;
};

namespace edgeseg {
namespace {

void write_text(char* to, std::size_t size, const char* text) noexcept {
    if (to == nullptr || size == 0) return;
    std::size_t length = std::min(std::strlen(text), size - 1);
    // Not through the middle of a UTF-8 character.
    if (text[length] != '\0') {
        while (length > 0 && (static_cast<unsigned char>(text[length]) & 0xC0U) == 0x80U) --length;
    }
    std::memcpy(to, text, length);
    to[length] = '\0';
}

// Runs `work`, turning what it throws into a status and a sentence.
template <typename Work>
edgeseg_status guarded(char* error, std::size_t error_size, const Work& work) noexcept {
    write_text(error, error_size, "");
    try {
        work();
        return EDGESEG_OK;
    } catch (const Error& e) {
        write_text(error, error_size, e.what());
        return e.status();
    } catch (const std::bad_alloc&) {
        write_text(error, error_size, "out of memory");
        return EDGESEG_E_MEMORY;
    } catch (const std::exception& e) {
        write_text(error, error_size, e.what());
        return EDGESEG_E_INTERNAL;
    } catch (...) {
        write_text(error, error_size, "an unknown exception");
        return EDGESEG_E_INTERNAL;
    }
}

// Copies a caller's struct in. Smaller than version 1: another ABI. Larger: what we do not know must be zero.
template <typename Struct>
bool read_struct(const Struct* from, Struct& to) noexcept {
    std::uint32_t size = 0;
    std::memcpy(&size, from, sizeof size);
    if (size < sizeof(Struct) || size > 65536) return false;
    const auto* bytes = reinterpret_cast<const unsigned char*>(from);
    for (std::size_t i = sizeof(Struct); i < size; ++i) {
        if (bytes[i] != 0) return false;
    }
    std::memcpy(&to, from, sizeof(Struct));
    return true;
}

// Writes a struct out and keeps the size that the caller set.
template <typename Struct>
edgeseg_status write_struct(Struct* to, Struct& from) noexcept {
    if (to->struct_size < sizeof(Struct)) return EDGESEG_E_ABI;
    from.struct_size = to->struct_size;
    std::memcpy(to, &from, sizeof(Struct));
    return EDGESEG_OK;
}

std::uint32_t number(Precision precision) { return static_cast<std::uint32_t>(precision) + 1; }

edgeseg_options check_options(const edgeseg_options* options) {
    edgeseg_options out{};
    if (options == nullptr) return out;
    if (!read_struct(options, out)) throw Error(EDGESEG_E_ABI, "options.struct_size is not sizeof(edgeseg_options) of this library's header, or newer fields are set");
    if (out.backend > EDGESEG_TENSORRT) throw Error(EDGESEG_E_ARGUMENT, "options.backend is none of the backends");
    if (out.precision > EDGESEG_INT8) throw Error(EDGESEG_E_ARGUMENT, "options.precision is none of the precisions");
    if (out.threads > 1024 || out.device > 1024) throw Error(EDGESEG_E_ARGUMENT, "options.threads and options.device must be at most 1024");
    return out;
}

}  // namespace
}  // namespace edgeseg

using edgeseg::Error;
using edgeseg::guarded;

const char* edgeseg_version(void) { return EDGESEG_VERSION; }

const char* edgeseg_status_text(edgeseg_status status) {
    switch (status) {
        case EDGESEG_OK: return "ok";
        case EDGESEG_E_INTERNAL: return "internal error";
        case EDGESEG_E_ARGUMENT: return "wrong argument";
        case EDGESEG_E_ABI: return "header and library do not belong together";
        case EDGESEG_E_BUFFER: return "buffer too small";
        case EDGESEG_E_FILE: return "file missing or unreadable";
        case EDGESEG_E_MANIFEST: return "manifest breaks its rules";
        case EDGESEG_E_HASH: return "bytes were changed";
        case EDGESEG_E_UNSUPPORTED: return "not supported by this library";
        case EDGESEG_E_FINGERPRINT: return "engine is for another machine or library";
        case EDGESEG_E_PENDING: return "gate is pending";
        case EDGESEG_E_BACKEND: return "backend failed";
        case EDGESEG_E_DEVICE: return "no such device or driver";
        case EDGESEG_E_MEMORY: return "out of memory";
        case EDGESEG_E_SELFTEST: return "self-test failed";
        default: return "unknown status";
    }
}

edgeseg_status edgeseg_open(uint32_t abi, const char* bundle, const edgeseg_options* options, edgeseg_session** out, char* error, size_t error_size) {
    return guarded(error, error_size, [&] {
        if (out == nullptr) throw Error(EDGESEG_E_ARGUMENT, "out is NULL");
        *out = nullptr;
        if (abi != EDGESEG_ABI) throw Error(EDGESEG_E_ABI, "the program was built with another edgeseg.h; build it again with this library's");
        if (bundle == nullptr) throw Error(EDGESEG_E_ARGUMENT, "bundle is NULL");
        const edgeseg_options wanted = edgeseg::check_options(options);
        const edgeseg::Wish wish{wanted.backend, wanted.precision, wanted.allow_pending != 0};
        auto session = std::make_unique<edgeseg_session>();
        session->session = edgeseg::open_session(bundle, wish, wanted.threads, wanted.device, wanted.expected_manifest_sha256);
        *out = session.release();
    });
}

edgeseg_status edgeseg_get_info(const edgeseg_session* session, edgeseg_info* info) {
    if (session == nullptr || info == nullptr) return EDGESEG_E_ARGUMENT;
    const edgeseg::Session& from = *session->session;
    const edgeseg::Manifest& manifest = from.manifest();
    edgeseg_info out{};
    out.classes = static_cast<uint32_t>(manifest.classes.size());
    out.channels = out.classes - 1;
    out.height = static_cast<uint32_t>(manifest.height);
    out.width = static_cast<uint32_t>(manifest.width);
    out.backend = from.choice().backend;
    out.precision = edgeseg::number(from.choice().precision);
    out.gate_passed = from.choice().gate == edgeseg::Gate::passed ? 1 : 0;
    out.golden_count = static_cast<uint32_t>(manifest.golden.size());
    edgeseg::write_text(out.name, sizeof out.name, manifest.name.c_str());
    edgeseg::write_text(out.engine, sizeof out.engine, from.choice().name.c_str());
    edgeseg::write_text(out.manifest_sha256, sizeof out.manifest_sha256, from.manifest_sha256().c_str());
    return edgeseg::write_struct(info, out);
}

edgeseg_status edgeseg_get_class(const edgeseg_session* session, uint32_t index, edgeseg_class* out) {
    if (session == nullptr || out == nullptr || index >= session->session->classes().size()) return EDGESEG_E_ARGUMENT;
    const edgeseg::Class& from = session->session->classes()[index];
    edgeseg_class copy{};
    edgeseg::write_text(copy.name, sizeof copy.name, from.name.c_str());
    copy.r = from.r;
    copy.g = from.g;
    copy.b = from.b;
    copy.threshold = from.threshold;
    return edgeseg::write_struct(out, copy);
}

edgeseg_status edgeseg_set_threshold(edgeseg_session* session, uint32_t class_index, uint8_t threshold) {
    if (session == nullptr) return EDGESEG_E_ARGUMENT;
    return guarded(nullptr, 0, [&] { session->session->set_threshold(class_index, threshold); });
}

edgeseg_status edgeseg_prepare(edgeseg_session* session, uint32_t format, uint32_t width, uint32_t height) {
    if (session == nullptr) return EDGESEG_E_ARGUMENT;
    return guarded(nullptr, 0, [&] {
        static const uint8_t somewhere = 0;  // check_frame wants planes, which are not read
        edgeseg_frame frame{};
        frame.format = format;
        frame.width = width;
        frame.height = height;
        frame.plane[0] = frame.plane[1] = &somewhere;
        const edgeseg::Picture picture = edgeseg::check_frame(frame);
        session->session->prepare(picture.format, picture.width, picture.height, true);
    });
}

edgeseg_status edgeseg_find_content(edgeseg_session* session, const edgeseg_frame* frame, edgeseg_rect* out) {
    if (session == nullptr || frame == nullptr || out == nullptr) return EDGESEG_E_ARGUMENT;
    edgeseg_frame copy;
    if (!edgeseg::read_struct(frame, copy)) return EDGESEG_E_ABI;
    return guarded(nullptr, 0, [&] {
        const edgeseg::Box box = session->session->find_content(copy);
        *out = {box.left, box.top, box.width, box.height};
    });
}

edgeseg_status edgeseg_run(edgeseg_session* session, const edgeseg_frame* frame, edgeseg_result* result) {
    if (session == nullptr || result == nullptr) return EDGESEG_E_ARGUMENT;
    if (result->struct_size < sizeof(edgeseg_result)) return EDGESEG_E_ABI;
    // Whatever goes wrong from here on, an older result must not pass for this one's.
    result->signal = EDGESEG_INVALID;
    edgeseg::write_text(result->reason, sizeof result->reason, "frame is NULL, or its struct_size is not this library's");
    if (frame == nullptr) return EDGESEG_E_ARGUMENT;
    edgeseg_frame copy;
    if (!edgeseg::read_struct(frame, copy)) return EDGESEG_E_ABI;
    return guarded(nullptr, 0, [&] { session->session->run(copy, *result); });
}

int32_t edgeseg_signal(const edgeseg_result* result, int64_t now_ns, int64_t stale_ns, int64_t lost_ns) {
    if (result == nullptr) return EDGESEG_LOST;
    if (stale_ns <= 0) stale_ns = 500000000;
    if (lost_ns <= 0) lost_ns = 3000000000;
    if (now_ns < result->captured_ns) return EDGESEG_STALE;
    const uint64_t age = static_cast<uint64_t>(now_ns) - static_cast<uint64_t>(result->captured_ns);
    if (age > static_cast<uint64_t>(lost_ns)) return EDGESEG_LOST;
    if (age > static_cast<uint64_t>(stale_ns)) return EDGESEG_STALE;
    return result->signal;
}

edgeseg_status edgeseg_get_statistics(const edgeseg_session* session, edgeseg_statistics* out) {
    if (session == nullptr || out == nullptr) return EDGESEG_E_ARGUMENT;
    const edgeseg::Session& from = *session->session;
    edgeseg_statistics copy{};
    copy.frames = from.frames();
    copy.invalid = from.invalid();
    const edgeseg::Latencies& times = from.latencies();
    copy.p50_ms = static_cast<float>(times.percentile(0.50));
    copy.p95_ms = static_cast<float>(times.percentile(0.95));
    copy.p99_ms = static_cast<float>(times.percentile(0.99));
    copy.max_ms = static_cast<float>(times.maximum());
    return edgeseg::write_struct(out, copy);
}

edgeseg_status edgeseg_selftest(edgeseg_session* session, uint32_t* passed, uint32_t* worst_diff, char* error, size_t error_size) {
    if (session == nullptr) return EDGESEG_E_ARGUMENT;
    uint32_t replayed = 0, worst = 0;
    const edgeseg_status status = guarded(error, error_size, [&] { session->session->selftest(replayed, worst); });
    if (passed != nullptr) *passed = replayed;
    if (worst_diff != nullptr) *worst_diff = worst;
    return status;
}

void edgeseg_close(edgeseg_session* session) { delete session; }
