// The border: structs of any age in, exceptions turned into statuses, nothing thrown out.
#include <algorithm>
#include <cstring>
#include <limits>
#include <new>

#include "error.hpp"
#include "session.hpp"

struct edgeseg_session {
    std::unique_ptr<edgeseg::Session> session;
    mutable char error[512] = {};  // for edgeseg_last_error; questions that take a const session may fail too
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
    // One line, and nothing that a terminal obeys: names come from manifests.
    for (char* at = to; *at != '\0'; ++at) {
        if (static_cast<unsigned char>(*at) < 0x20U || *at == '\x7F') *at = ' ';
    }
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

constexpr const char* no_session = "session is NULL: edgeseg_open did not succeed, its error says why";

// The same for a call on a session, which keeps the sentence for edgeseg_last_error.
template <typename Work>
edgeseg_status on_session(const edgeseg_session* session, const Work& work) noexcept {
    return session != nullptr ? guarded(session->error, sizeof session->error, work) : EDGESEG_E_ARGUMENT;
}

void need(const void* pointer, const char* name) {
    if (pointer == nullptr) throw Error(EDGESEG_E_ARGUMENT, std::string(name) + " is NULL");
}

[[noreturn]] void wrong_size(const char* name) {
    throw Error(EDGESEG_E_ABI, std::string(name) + ".struct_size is not sizeof(edgeseg_" + name + ") of this library's edgeseg.h, or newer fields are set; set struct_size and zero the rest");
}

// A caller's struct. Smaller than version 1: another ABI. Larger: what we do not know must be zero.
template <typename Struct>
void check_struct(const Struct* given, const char* name) {
    need(given, name);
    std::uint32_t size = 0;
    std::memcpy(&size, given, sizeof size);
    if (size < sizeof(Struct) || size > 65536) wrong_size(name);
    const auto* bytes = reinterpret_cast<const unsigned char*>(given);
    for (std::size_t i = sizeof(Struct); i < size; ++i) {
        if (bytes[i] != 0) wrong_size(name);
    }
}

template <typename Struct>
Struct read_struct(const Struct* from, const char* name) {
    check_struct(from, name);
    Struct to;
    std::memcpy(&to, from, sizeof(Struct));
    return to;
}

// Writes a struct out and keeps the size that the caller set.
template <typename Struct>
void write_struct(Struct* to, Struct& from, const char* name) {
    check_struct(to, name);
    from.struct_size = to->struct_size;
    std::memcpy(to, &from, sizeof(Struct));
}

std::uint32_t number(Precision precision) { return static_cast<std::uint32_t>(precision) + 1; }

edgeseg_options check_options(const edgeseg_options* options) {
    edgeseg_options out{};
    if (options == nullptr) return out;
    out = read_struct(options, "options");
    if (out.backend > EDGESEG_TENSORRT) throw Error(EDGESEG_E_ARGUMENT, "options.backend is none of the backends");
    if (out.precision > EDGESEG_INT8) throw Error(EDGESEG_E_ARGUMENT, "options.precision is none of the precisions");
    if (out.threads > 1024 || out.device > 1024) throw Error(EDGESEG_E_ARGUMENT, "options.threads and options.device must be at most 1024");
    return out;
}

}  // namespace
}  // namespace edgeseg

using edgeseg::Error;
using edgeseg::guarded;
using edgeseg::on_session;

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
        edgeseg::need(out, "out");
        *out = nullptr;
        if (abi != EDGESEG_ABI) throw Error(EDGESEG_E_ABI, "the program was built with another edgeseg.h; build it again with this library's");
        if (bundle == nullptr || *bundle == '\0') throw Error(EDGESEG_E_ARGUMENT, "bundle is NULL or empty; give the path of a bundle folder");
        const edgeseg_options wanted = edgeseg::check_options(options);
        const edgeseg::Wish wish{wanted.backend, wanted.precision, wanted.allow_pending != 0};
        auto session = std::make_unique<edgeseg_session>();
        session->session = edgeseg::open_session(bundle, wish, wanted.threads, wanted.device, wanted.expected_manifest_sha256);
        *out = session.release();
    });
}

const char* edgeseg_last_error(const edgeseg_session* session) { return session != nullptr ? session->error : edgeseg::no_session; }

edgeseg_status edgeseg_get_info(const edgeseg_session* session, edgeseg_info* info) {
    return on_session(session, [&] {
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
        edgeseg::write_struct(info, out, "info");
    });
}

edgeseg_status edgeseg_get_class(const edgeseg_session* session, uint32_t index, edgeseg_class* out) {
    return on_session(session, [&] {
        if (index >= session->session->classes().size()) throw Error(EDGESEG_E_ARGUMENT, "index must be 0 to classes - 1");
        const edgeseg::Class& from = session->session->classes()[index];
        edgeseg_class copy{};
        edgeseg::write_text(copy.name, sizeof copy.name, from.name.c_str());
        copy.r = from.r;
        copy.g = from.g;
        copy.b = from.b;
        copy.threshold = from.threshold;
        edgeseg::write_struct(out, copy, "class");
    });
}

edgeseg_status edgeseg_set_threshold(edgeseg_session* session, uint32_t class_index, uint8_t threshold) {
    return on_session(session, [&] { session->session->set_threshold(class_index, threshold); });
}

edgeseg_status edgeseg_prepare(edgeseg_session* session, uint32_t format, uint32_t width, uint32_t height) {
    return on_session(session, [&] {
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
    return on_session(session, [&] {
        edgeseg::need(out, "out");
        const edgeseg::Box box = session->session->find_content(edgeseg::read_struct(frame, "frame"));
        *out = {box.left, box.top, box.width, box.height};
    });
}

edgeseg_status edgeseg_run(edgeseg_session* session, const edgeseg_frame* frame, edgeseg_result* result) {
    if (result == nullptr || result->struct_size < sizeof(edgeseg_result)) {
        return on_session(session, [&] {
            edgeseg::need(result, "result");
            edgeseg::wrong_size("result");
        });
    }
    // Whatever goes wrong from here on, an older result must not pass for this one's.
    result->object_count = 0;
    result->signal = EDGESEG_INVALID;
    result->region = {};
    result->sequence = 0;
    result->captured_ns = 0;
    result->fit_ms = result->infer_ms = result->post_ms = 0.0F;
    const edgeseg_status status = on_session(session, [&] {
        edgeseg::check_struct(result, "result");
        session->session->run(edgeseg::read_struct(frame, "frame"), *result);
    });
    if (status != EDGESEG_OK) edgeseg::write_text(result->reason, sizeof result->reason, edgeseg_last_error(session));
    return status;
}

int32_t edgeseg_signal(const edgeseg_result* result, int64_t now_ns, int64_t stale_ns, int64_t lost_ns) {
    if (result == nullptr) return EDGESEG_LOST;
    if (stale_ns <= 0) stale_ns = 500000000;
    if (lost_ns <= 0) lost_ns = 3000000000;
    const int32_t stale = std::max<int32_t>(result->signal, EDGESEG_STALE);  // the highest wins
    if (now_ns < result->captured_ns) return stale;
    const uint64_t age = static_cast<uint64_t>(now_ns) - static_cast<uint64_t>(result->captured_ns);
    if (age > static_cast<uint64_t>(lost_ns)) return EDGESEG_LOST;
    if (age > static_cast<uint64_t>(stale_ns)) return stale;
    return result->signal;
}

edgeseg_status edgeseg_get_statistics(const edgeseg_session* session, edgeseg_statistics* out) {
    return on_session(session, [&] {
        const edgeseg::Session& from = *session->session;
        edgeseg_statistics copy{};
        copy.frames = from.frames();
        copy.invalid = from.invalid();
        const edgeseg::Latencies& times = from.latencies();
        copy.p50_ms = static_cast<float>(times.percentile(0.50));
        copy.p95_ms = static_cast<float>(times.percentile(0.95));
        copy.p99_ms = static_cast<float>(times.percentile(0.99));
        copy.max_ms = static_cast<float>(times.maximum());
        edgeseg::write_struct(out, copy, "statistics");
    });
}

edgeseg_status edgeseg_selftest(edgeseg_session* session, uint32_t* passed, uint32_t* worst_diff, char* error, size_t error_size) {
    uint32_t replayed = 0, worst = 0;
    const edgeseg_status status = on_session(session, [&] { session->session->selftest(replayed, worst); });
    edgeseg::write_text(error, error_size, edgeseg_last_error(session));
    if (passed != nullptr) *passed = replayed;
    if (worst_diff != nullptr) *worst_diff = worst;
    return status;
}

void edgeseg_close(edgeseg_session* session) { delete session; }
