/* edgeseg: a segmentation bundle inside device software. C99, Linux, x86-64 and aarch64.

   OWNERSHIP  All buffers and structs are the caller's; no pointer that a call was given is kept after it returns. A session is the
              library's: edgeseg_open makes it, edgeseg_close ends it.
   THREADS    A session is used by one thread at a time, by whichever thread; any number of sessions run side by side.
              edgeseg_version, edgeseg_status_text and edgeseg_signal are pure and may be called from anywhere.
   MEMORY     After edgeseg_prepare, edgeseg_run allocates, locks and prints nothing of its own (an engine may allocate inside). A frame
              of another format or size than prepared is prepared for within its run: that one call allocates and takes longer.
   LIFETIME   No signal handlers, no exit, no global state, no locale, no environment variables, no files written, no network. The
              bundle's folder stays open until edgeseg_close; a bundle that is replaced meanwhile does not change a session (its golden
              frames are gone with it: edgeseg_selftest then ends with EDGESEG_E_FILE).
   STRUCTS    Set struct_size = sizeof(the struct) in every struct that has it, zero the rest. Fields are only added at the end. A
              larger struct than this library knows is taken if what it does not know is zero. 0 is every option's default.
   ERRORS     Every call says how it went; a status / 10 is the exit code of edgeseg's command line. edgeseg_last_error has the sentence.
              No exception leaves the library.

   One page of explanation: docs/c-library.md. */
#ifndef EDGESEG_H
#define EDGESEG_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define EDGESEG_API __attribute__((visibility("default")))
#else
#define EDGESEG_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define EDGESEG_ABI 1u /* give it to edgeseg_open; a library with another one refuses with EDGESEG_E_ABI */

typedef struct edgeseg_session edgeseg_session;
typedef int32_t edgeseg_status;

enum {
    EDGESEG_OK = 0,
    EDGESEG_E_INTERNAL = 10,    /* a bug of ours */
    EDGESEG_E_ARGUMENT = 20,    /* the call is wrong: a NULL, a size, a stride, an unknown value */
    EDGESEG_E_ABI = 21,         /* this header and the library do not belong together */
    EDGESEG_E_BUFFER = 22,      /* a buffer of the result is too small; nothing was run */
    EDGESEG_E_FILE = 30,        /* a file is missing, unreadable, no regular file or too large */
    EDGESEG_E_MANIFEST = 31,    /* the manifest breaks its rules, or a graph is not what it says */
    EDGESEG_E_HASH = 32,        /* bytes were changed: size or SHA-256 differ from the manifest's, or from the one expected */
    EDGESEG_E_UNSUPPORTED = 33, /* sound, but not for this library: newer schema, no such backend, precision or step */
    EDGESEG_E_FINGERPRINT = 34, /* an engine for another TensorRT, GPU or driver; the text names both and the command that rebuilds */
    EDGESEG_E_PENDING = 35,     /* only graphs or engines with gate "pending" would do: see allow_pending */
    EDGESEG_E_BACKEND = 60,     /* the engine's library is missing, refused the file, or failed on a frame */
    EDGESEG_E_DEVICE = 61,      /* no such GPU, or no driver */
    EDGESEG_E_MEMORY = 62,
    EDGESEG_E_SELFTEST = 70     /* a golden frame did not come out as the bundle says */
};

/* Signal states, the highest that holds wins. edgeseg_run writes the first four, edgeseg_signal adds age. */
enum {
    EDGESEG_LIVE,      /* a mask to be shown */
    EDGESEG_FROZEN,    /* the picture has not changed for 0.6 s of captured_ns: at most 1 in 1,000 values of the fitted frame differ by
                          more than 1 grey level from the first such frame. A mask is written. Needs captured_ns */
    EDGESEG_NO_SIGNAL, /* no picture: 99 % of the pixels in every 4th row of the fitted region black (all of B, G, R <= 16), white
                          (all >= 239) or of one colour (each within 2 grey levels of its mean), or noise (neighbours uncorrelated).
                          The mask is all 0 */
    EDGESEG_INVALID,   /* no trustworthy mask: the engine failed, or every pixel came out positive, as after NaN. The mask is all 0,
                          unless the call was refused for its arguments: see edgeseg_run */
    EDGESEG_STALE,     /* older than stale_ns, or newer than now, which means two different clocks */
    EDGESEG_LOST       /* older than lost_ns, or nothing at all */
};

enum { EDGESEG_BACKEND_AUTO, EDGESEG_ONNXRUNTIME, EDGESEG_OPENVINO, EDGESEG_TENSORRT };
enum { EDGESEG_PRECISION_AUTO, EDGESEG_FP32, EDGESEG_BF16, EDGESEG_FP16, EDGESEG_INT8 };
enum { EDGESEG_BGR, EDGESEG_RGB, EDGESEG_GREY, EDGESEG_NV12 };
/* NV12 only. Nothing is guessed from the size; decoders' HD is BT.709, OpenCV's NV12 is BT.601 limited. */
enum { EDGESEG_BT601_LIMITED, EDGESEG_BT709_LIMITED, EDGESEG_BT601_FULL, EDGESEG_BT709_FULL };
enum { EDGESEG_MASK_NETWORK, EDGESEG_MASK_FRAME };

typedef struct {
    uint32_t struct_size;
    uint32_t backend;       /* EDGESEG_BACKEND_AUTO: TensorRT if an engine fits this machine, else OpenVINO, else ONNX Runtime */
    uint32_t precision;     /* EDGESEG_PRECISION_AUTO: int8, fp16, fp32, the first with gate "passed", else the first with "parity" */
    uint32_t threads;       /* of the CPU engine; 0: its own choice */
    uint32_t device;        /* GPU index */
    uint32_t allow_pending; /* 1: with backend and precision both named, one with gate "pending" may run (for tests on a new device) */
    const char *expected_manifest_sha256; /* NULL, or 64 hex digits: another manifest is refused with EDGESEG_E_HASH. The hashes inside
                                             a bundle show damage; they do not stop someone who can write to its folder: this does */
} edgeseg_options;

typedef struct {
    uint32_t struct_size;
    uint32_t classes;       /* the background included */
    uint32_t channels;      /* of the probability map: classes - 1; channel i is class i + 1 */
    uint32_t height, width; /* of the network, so of the probability map */
    uint32_t backend, precision;
    uint32_t gate_passed;   /* 1: accuracy was measured on this very file; 0: parity only, or pending */
    uint32_t golden_count;
    char name[65], engine[65], manifest_sha256[65]; /* the bundle's name, the graph or engine that runs */
} edgeseg_info;

typedef struct {
    uint32_t struct_size;
    char name[65]; /* UTF-8, cut at a character if longer */
    uint8_t r, g, b, threshold; /* threshold: grey level 1 to 255, positive where probability >= it; 0 for the background */
} edgeseg_class;

typedef struct {
    int32_t x, y, width, height;
} edgeseg_rect;

typedef struct {
    uint32_t struct_size;
    uint32_t format, color; /* EDGESEG_BGR ..., and for NV12 EDGESEG_BT601_LIMITED ... */
    uint32_t width, height; /* 16 to 16384; even for NV12 */
    uint32_t stride[2];     /* bytes from row to row; 0: rows are packed */
    const uint8_t *plane[2]; /* [1] is NV12's interleaved U and V */
    edgeseg_rect roi; /* the part to segment; zero: what the manifest's fit.region says. For region "content" that is found at the first
                         LIVE frame and at each change of size, then held; for stills give roi from edgeseg_find_content */
    uint64_t sequence;    /* passed through; smoothing restarts where it does not go up by 1 */
    int64_t captured_ns;  /* passed through; any monotonic clock, the one edgeseg_signal is given */
} edgeseg_frame;

typedef struct {
    uint32_t class_index;
    edgeseg_rect box; /* in frame pixels, whatever mask_at says */
    uint64_t area;    /* pixels of the mask */
} edgeseg_object;

typedef struct {
    uint32_t struct_size;
    uint32_t mask_at;     /* EDGESEG_MASK_NETWORK: [height][width] of edgeseg_info; EDGESEG_MASK_FRAME: of the frame */
    uint32_t mask_stride; /* bytes from row to row; 0: packed */
    uint32_t object_capacity, area_capacity; /* items in objects and class_area */
    uint8_t *probability; /* [channels][height][width], round(255 p) as the network gave it (smoothed if the bundle says so), or NULL */
    size_t probability_size;
    uint8_t *mask; /* class index per pixel, 0 outside the region, or NULL */
    size_t mask_size;
    edgeseg_object *objects; /* 8-connected components, largest first, or NULL */
    uint64_t *class_area;    /* pixels of the mask per class, index 0 the background, or NULL */
    /* from here on written by edgeseg_run, also when it fails */
    uint32_t object_count; /* objects found; only the object_capacity largest are written. 0 where neither mask, objects nor
                              class_area is given */
    int32_t signal;
    edgeseg_rect region; /* the part of the frame that was used: the content box or roi, after cropping */
    uint64_t sequence;
    int64_t captured_ns;
    float fit_ms, infer_ms, post_ms;
    char reason[160]; /* why signal is not LIVE or why the call failed, else empty */
} edgeseg_result;

typedef struct {
    uint32_t struct_size;
    uint64_t frames, invalid; /* runs that reached the engine, and how many of them ended INVALID */
    float p50_ms, p95_ms, p99_ms, max_ms; /* of whole runs since edgeseg_prepare, to within 1 % */
} edgeseg_statistics;

EDGESEG_API const char *edgeseg_version(void);
EDGESEG_API const char *edgeseg_status_text(edgeseg_status status);

/* Opens a bundle folder: checks hashes before anything is parsed, chooses a graph or engine, loads it. options may be NULL. On failure
   *out is NULL and error (may be NULL) holds one sentence: what, where, what to do next. */
EDGESEG_API edgeseg_status edgeseg_open(uint32_t abi, const char *bundle, const edgeseg_options *options, edgeseg_session **out, char *error,
                                        size_t error_size);
/* Why the last call on this session failed, in one sentence, or "". Valid until the session's next call. */
EDGESEG_API const char *edgeseg_last_error(const edgeseg_session *session);
EDGESEG_API edgeseg_status edgeseg_get_info(const edgeseg_session *session, edgeseg_info *info);
EDGESEG_API edgeseg_status edgeseg_get_class(const edgeseg_session *session, uint32_t index, edgeseg_class *out);
/* class_index 1 to classes - 1, threshold 1 to 255: ceil(255 p), so 128 for p = 0.5. */
EDGESEG_API edgeseg_status edgeseg_set_threshold(edgeseg_session *session, uint32_t class_index, uint8_t threshold);
/* Allocates for frames of this format and size, runs the engine once to warm it up, and forgets the stream so far (content box,
   smoothing, frozen picture, statistics). */
EDGESEG_API edgeseg_status edgeseg_prepare(edgeseg_session *session, uint32_t format, uint32_t width, uint32_t height);
/* The content box of this frame, as fit region "content" defines it; the session's held box stays as it is. */
EDGESEG_API edgeseg_status edgeseg_find_content(edgeseg_session *session, const edgeseg_frame *frame, edgeseg_rect *out);
/* One frame in, one mask out. A failed engine is EDGESEG_E_BACKEND with signal INVALID and an empty mask: show the video without it and
   call again with the next frame. A call that is refused for its arguments or buffers is INVALID too and leaves the buffers alone. */
EDGESEG_API edgeseg_status edgeseg_run(edgeseg_session *session, const edgeseg_frame *frame, edgeseg_result *result);
/* The state to show now: the result's own, or STALE or LOST by its age. stale_ns 0: 500 ms, lost_ns 0: 3 s. NULL result: LOST. Set
   signal to EDGESEG_LOST yourself in a result that no run has written yet. */
EDGESEG_API int32_t edgeseg_signal(const edgeseg_result *result, int64_t now_ns, int64_t stale_ns, int64_t lost_ns);
EDGESEG_API edgeseg_status edgeseg_get_statistics(const edgeseg_session *session, edgeseg_statistics *out);
/* Power-on test: replays the bundle's golden frames through fit and engine. EDGESEG_OK if all came out as they should, otherwise
   EDGESEG_E_SELFTEST and a sentence in error; EDGESEG_E_FILE or EDGESEG_E_HASH if a golden file is missing or changed. passed and
   worst_diff (grey levels of probability) may be NULL. Allocates; a stream that runs in this session is forgotten as by
   edgeseg_prepare. */
EDGESEG_API edgeseg_status edgeseg_selftest(edgeseg_session *session, uint32_t *passed, uint32_t *worst_diff, char *error, size_t error_size);
EDGESEG_API void edgeseg_close(edgeseg_session *session); /* NULL is fine */

#ifdef __cplusplus
}
#endif
#endif
