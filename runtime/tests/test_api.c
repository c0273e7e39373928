/* The border as a C99 program sees it: header, struct sizes, errors, and a real bundle. Usage: test_api BUNDLES */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <edgeseg/edgeseg.h>

static int failures = 0;
#define EXPECT(condition) \
    do { \
        if (!(condition)) { \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
            ++failures; \
        } \
    } while (0)

static char path[1024];
static const char *in(const char *folder, const char *name) {
    snprintf(path, sizeof path, "%s/%s.edgeseg", folder, name);
    return path;
}

static void test_nulls(void) {
    edgeseg_session *session = (edgeseg_session *)&failures;
    char error[160];
    edgeseg_result result;
    EXPECT(edgeseg_open(EDGESEG_ABI, NULL, NULL, &session, error, sizeof error) == EDGESEG_E_ARGUMENT && session == NULL && error[0] != 0);
    EXPECT(edgeseg_open(EDGESEG_ABI, "x", NULL, NULL, NULL, 0) == EDGESEG_E_ARGUMENT);
    EXPECT(edgeseg_open(EDGESEG_ABI + 1, "x", NULL, &session, NULL, 0) == EDGESEG_E_ABI);
    EXPECT(edgeseg_open(EDGESEG_ABI, "/nonexistent", NULL, &session, error, sizeof error) == EDGESEG_E_FILE);
    EXPECT(strstr(error, "/nonexistent") != NULL);
    EXPECT(strstr(error, "manifest.json") != NULL); /* what to give instead */
    EXPECT(edgeseg_open(EDGESEG_ABI, "", NULL, &session, error, sizeof error) == EDGESEG_E_ARGUMENT && strstr(error, "empty") != NULL);
    EXPECT(edgeseg_get_info(NULL, NULL) == EDGESEG_E_ARGUMENT);
    EXPECT(edgeseg_get_class(NULL, 0, NULL) == EDGESEG_E_ARGUMENT);
    EXPECT(edgeseg_set_threshold(NULL, 1, 1) == EDGESEG_E_ARGUMENT);
    EXPECT(edgeseg_prepare(NULL, 0, 64, 64) == EDGESEG_E_ARGUMENT);
    EXPECT(edgeseg_find_content(NULL, NULL, NULL) == EDGESEG_E_ARGUMENT);
    EXPECT(edgeseg_run(NULL, NULL, NULL) == EDGESEG_E_ARGUMENT);
    EXPECT(edgeseg_get_statistics(NULL, NULL) == EDGESEG_E_ARGUMENT);
    EXPECT(edgeseg_selftest(NULL, NULL, NULL, NULL, 0) == EDGESEG_E_ARGUMENT);
    /* A program that goes on after a failed open must not see LIVE, nor print what happened to be in its buffers. */
    error[0] = 'x';
    EXPECT(edgeseg_selftest(NULL, NULL, NULL, error, sizeof error) == EDGESEG_E_ARGUMENT && strstr(error, "session is NULL") == error);
    memset(&result, 0, sizeof result);
    result.struct_size = sizeof result;
    result.object_count = 3;
    EXPECT(edgeseg_run(NULL, NULL, &result) == EDGESEG_E_ARGUMENT && result.signal == EDGESEG_INVALID && result.object_count == 0);
    EXPECT(strstr(result.reason, "session is NULL") == result.reason);
    EXPECT(strcmp(edgeseg_last_error(NULL), result.reason) == 0);
    edgeseg_close(NULL);
    EXPECT(strlen(edgeseg_version()) > 0);
    EXPECT(strcmp(edgeseg_status_text(EDGESEG_E_HASH), edgeseg_status_text(-1)) != 0);
}

static void test_signal(void) {
    edgeseg_result result;
    memset(&result, 0, sizeof result);
    result.signal = EDGESEG_INVALID;
    result.captured_ns = 1000000000;
    EXPECT(edgeseg_signal(NULL, 0, 0, 0) == EDGESEG_LOST);
    EXPECT(edgeseg_signal(&result, 1000000000, 0, 0) == EDGESEG_INVALID);
    EXPECT(edgeseg_signal(&result, 1500000000, 0, 0) == EDGESEG_INVALID);
    EXPECT(edgeseg_signal(&result, 1500000001, 0, 0) == EDGESEG_STALE);
    EXPECT(edgeseg_signal(&result, 4000000001, 0, 0) == EDGESEG_LOST);
    EXPECT(edgeseg_signal(&result, 1000000011, 10, 20) == EDGESEG_STALE);
    EXPECT(edgeseg_signal(&result, 1000000021, 10, 20) == EDGESEG_LOST);
    EXPECT(edgeseg_signal(&result, 999999999, 0, 0) == EDGESEG_STALE); /* captured after now: two clocks */
    result.captured_ns = INT64_MIN;
    EXPECT(edgeseg_signal(&result, INT64_MAX, 0, 0) == EDGESEG_LOST);
    result.signal = EDGESEG_LOST; /* set by a caller that has no result yet: age takes nothing back */
    result.captured_ns = 0;
    EXPECT(edgeseg_signal(&result, 1000000000, 0, 0) == EDGESEG_LOST);
    EXPECT(edgeseg_signal(&result, -1, 0, 0) == EDGESEG_LOST);
}

static void test_options(const char *bundles) {
    edgeseg_session *session = NULL;
    edgeseg_options options;
    struct {
        edgeseg_options known;
        uint32_t newer;
    } future;
    char error[400];
    memset(&options, 0, sizeof options);
    EXPECT(edgeseg_open(EDGESEG_ABI, in(bundles, "polyp"), &options, &session, error, sizeof error) == EDGESEG_E_ABI);
    options.struct_size = sizeof options;
    options.backend = 9;
    EXPECT(edgeseg_open(EDGESEG_ABI, in(bundles, "polyp"), &options, &session, error, sizeof error) == EDGESEG_E_ARGUMENT);
    options.backend = EDGESEG_TENSORRT;
    EXPECT(edgeseg_open(EDGESEG_ABI, in(bundles, "polyp"), &options, &session, error, sizeof error) == EDGESEG_E_UNSUPPORTED);
    options.backend = EDGESEG_BACKEND_AUTO;
    options.expected_manifest_sha256 = "00";
    EXPECT(edgeseg_open(EDGESEG_ABI, in(bundles, "polyp"), &options, &session, error, sizeof error) == EDGESEG_E_HASH);
    options.expected_manifest_sha256 = NULL;
    memset(&future, 0, sizeof future);
    future.known = options;
    future.known.struct_size = sizeof future;
    EXPECT(edgeseg_open(EDGESEG_ABI, in(bundles, "smooth"), &future.known, &session, error, sizeof error) == EDGESEG_OK);
    edgeseg_close(session);
    future.newer = 1;
    EXPECT(edgeseg_open(EDGESEG_ABI, in(bundles, "smooth"), &future.known, &session, error, sizeof error) == EDGESEG_E_ABI);
    EXPECT(edgeseg_open(EDGESEG_ABI, in(bundles, "pending"), NULL, &session, error, sizeof error) == EDGESEG_E_PENDING);
    EXPECT(edgeseg_open(EDGESEG_ABI, in(bundles, "other-size"), NULL, &session, error, sizeof error) == EDGESEG_E_MANIFEST);
    EXPECT(edgeseg_open(EDGESEG_ABI, in(bundles, "no-onnx"), NULL, &session, error, sizeof error) == EDGESEG_E_MANIFEST);
    EXPECT(edgeseg_open(EDGESEG_ABI, in(bundles, "external-data"), NULL, &session, error, sizeof error) == EDGESEG_E_MANIFEST);
    EXPECT(strstr(error, "other files") != NULL);
    EXPECT(edgeseg_open(EDGESEG_ABI, in(bundles, "unknown-op"), NULL, &session, error, sizeof error) == EDGESEG_E_MANIFEST);
    EXPECT(strstr(error, "NoSuchOperator") != NULL);
    EXPECT(edgeseg_open(EDGESEG_ABI, in(bundles, "graph-in-graph"), NULL, &session, error, sizeof error) == EDGESEG_E_MANIFEST);
    EXPECT(edgeseg_open(EDGESEG_ABI, in(bundles, "hidden-op"), NULL, &session, error, sizeof error) == EDGESEG_E_MANIFEST);
    EXPECT(strstr(error, "is no ONNX file") != NULL);
    EXPECT(edgeseg_open(EDGESEG_ABI, in(bundles, "other-format"), NULL, &session, error, sizeof error) != EDGESEG_OK);
    EXPECT(edgeseg_open(EDGESEG_ABI, in(bundles, "wrong-op"), NULL, &session, error, sizeof error) == EDGESEG_E_BACKEND);
    EXPECT(strchr(error, '\n') == NULL);
    EXPECT(session == NULL);
}

static void test_run(const char *bundles) {
    edgeseg_session *session = NULL;
    edgeseg_info info;
    edgeseg_class class_info;
    edgeseg_frame frame;
    struct {
        edgeseg_result known;
        uint64_t unknown;
    } later;
    edgeseg_result result;
    edgeseg_statistics statistics;
    edgeseg_rect box;
    edgeseg_object objects[4];
    uint32_t passed = 0, worst = 99, i;
    char error[400];
    const uint32_t width = 320, height = 240;
    uint8_t *pixels = malloc((size_t)width * height * 3), *mask = malloc((size_t)width * height);
    EXPECT(edgeseg_open(EDGESEG_ABI, in(bundles, "organs"), NULL, &session, error, sizeof error) == EDGESEG_OK);
    if (session == NULL || pixels == NULL || mask == NULL) {
        fprintf(stderr, "%s\n", error);
        exit(1);
    }
    memset(&info, 0, sizeof info);
    EXPECT(strcmp(edgeseg_last_error(session), "") == 0);
    EXPECT(edgeseg_get_info(session, &info) == EDGESEG_E_ABI); /* struct_size not set */
    EXPECT(strstr(edgeseg_last_error(session), "info.struct_size") != NULL);
    EXPECT(edgeseg_get_info(session, NULL) == EDGESEG_E_ARGUMENT && strcmp(edgeseg_last_error(session), "info is NULL") == 0);
    info.struct_size = sizeof info;
    EXPECT(edgeseg_get_info(session, &info) == EDGESEG_OK && strcmp(edgeseg_last_error(session), "") == 0);
    EXPECT(info.classes == 4 && info.channels == 3 && info.height == 40 && info.width == 56 && info.gate_passed == 1);
    EXPECT(strcmp(info.name, "organs") == 0 && strcmp(info.engine, "float") == 0 && strlen(info.manifest_sha256) == 64);
    memset(&class_info, 0, sizeof class_info);
    class_info.struct_size = sizeof class_info;
    EXPECT(edgeseg_get_class(session, 4, &class_info) == EDGESEG_E_ARGUMENT && strstr(edgeseg_last_error(session), "index") != NULL);
    EXPECT(edgeseg_get_class(session, 0, &class_info) == EDGESEG_OK && class_info.threshold == 0);
    EXPECT(edgeseg_get_class(session, 3, &class_info) == EDGESEG_OK && class_info.threshold == 128 && class_info.b == 0xa0);
    EXPECT(strcmp(class_info.name, "Gef\xc3\xa4\xc3\x9f") == 0);
    EXPECT(strcmp(edgeseg_last_error(session), "") == 0);
    EXPECT(edgeseg_set_threshold(session, 4, 9) == EDGESEG_E_ARGUMENT && strstr(edgeseg_last_error(session), "class_index") != NULL);
    EXPECT(edgeseg_prepare(session, EDGESEG_BGR, 8, 8) == EDGESEG_E_ARGUMENT && strstr(edgeseg_last_error(session), "8x8") != NULL);
    EXPECT(edgeseg_prepare(session, EDGESEG_BGR, width, height) == EDGESEG_OK);
    memset(&frame, 0, sizeof frame);
    frame.struct_size = sizeof frame;
    frame.width = width;
    frame.height = height;
    frame.plane[0] = pixels;
    memset(&result, 0, sizeof result);
    result.struct_size = sizeof result;
    result.mask_at = EDGESEG_MASK_FRAME;
    result.mask = mask;
    result.mask_size = (size_t)width * height;
    result.objects = objects;
    result.object_capacity = 4;
    for (i = 0; i < width * height * 3; ++i) pixels[i] = (uint8_t)(40 + (i / 3 % width) / 2 + 50 * (i % 3 == 1));
    for (i = 0; i < 20; ++i) {
        frame.sequence = i;
        frame.captured_ns = (int64_t)i * 1000000;
        pixels[i * 900] ^= 0x80;
        EXPECT(edgeseg_run(session, &frame, &result) == EDGESEG_OK);
        EXPECT(result.sequence == i && result.captured_ns == (int64_t)i * 1000000 && result.signal == EDGESEG_LIVE);
        EXPECT(result.region.width == (int32_t)width && result.infer_ms > 0);
    }
    frame.struct_size = 8;
    EXPECT(edgeseg_run(session, &frame, &result) == EDGESEG_E_ABI && result.signal == EDGESEG_INVALID);
    EXPECT(strstr(result.reason, "frame.struct_size") != NULL);
    EXPECT(result.sequence == 0 && result.captured_ns == 0 && result.region.width == 0 && result.infer_ms == 0); /* the frame before's are gone */
    result.object_count = 2;
    EXPECT(edgeseg_run(session, NULL, &result) == EDGESEG_E_ARGUMENT && result.object_count == 0 && strcmp(result.reason, "frame is NULL") == 0);
    frame.struct_size = sizeof frame;
    frame.stride[0] = 5;
    EXPECT(edgeseg_run(session, &frame, &result) == EDGESEG_E_ARGUMENT && strcmp(result.reason, "frame.stride[0] is 5 bytes, a row needs 960") == 0);
    EXPECT(strcmp(edgeseg_last_error(session), result.reason) == 0);
    frame.stride[0] = 0;
    result.struct_size = 4;
    EXPECT(edgeseg_run(session, &frame, &result) == EDGESEG_E_ABI && strstr(edgeseg_last_error(session), "result.struct_size") != NULL);
    memset(&later, 0, sizeof later);
    later.known = result;
    later.known.struct_size = sizeof later;
    EXPECT(edgeseg_run(session, &frame, &later.known) == EDGESEG_OK);
    later.unknown = 1;
    EXPECT(edgeseg_run(session, &frame, &later.known) == EDGESEG_E_ABI && later.known.signal == EDGESEG_INVALID);
    result.struct_size = sizeof result;
    --result.mask_size;
    EXPECT(edgeseg_run(session, &frame, &result) == EDGESEG_E_BUFFER && strcmp(result.reason, "result.mask_size is 76799, 76800 are needed") == 0);
    ++result.mask_size;
    EXPECT(edgeseg_find_content(session, NULL, &box) == EDGESEG_E_ARGUMENT && edgeseg_find_content(session, &frame, NULL) == EDGESEG_E_ARGUMENT);
    EXPECT(edgeseg_find_content(session, &frame, &box) == EDGESEG_OK && box.width == (int32_t)width);
    memset(&statistics, 0, sizeof statistics);
    statistics.struct_size = sizeof statistics;
    EXPECT(edgeseg_get_statistics(session, &statistics) == EDGESEG_OK);
    EXPECT(statistics.frames == 21 && statistics.invalid == 0 && statistics.p50_ms > 0 && statistics.p99_ms >= statistics.p50_ms);
    EXPECT(statistics.max_ms >= statistics.p99_ms);
    EXPECT(edgeseg_selftest(session, &passed, &worst, error, sizeof error) == EDGESEG_OK && passed == 1 && worst <= 1);
    EXPECT(edgeseg_run(session, &frame, &result) == EDGESEG_OK);
    edgeseg_close(session);

    EXPECT(edgeseg_open(EDGESEG_ABI, in(bundles, "wrong-golden"), NULL, &session, error, sizeof error) == EDGESEG_OK);
    EXPECT(edgeseg_selftest(session, &passed, &worst, error, sizeof error) == EDGESEG_E_SELFTEST && passed == 0 && worst > 1);
    EXPECT(strstr(error, "g0") != NULL);
    edgeseg_close(session);
    EXPECT(edgeseg_open(EDGESEG_ABI, in(bundles, "all-ones"), NULL, &session, error, sizeof error) == EDGESEG_OK);
    EXPECT(edgeseg_run(session, &frame, &result) == EDGESEG_OK && result.signal == EDGESEG_INVALID && mask[77] == 0);
    edgeseg_close(session);
    free(pixels);
    free(mask);
}

int main(int count, char **arguments) {
    if (count < 2) return 2;
    test_nulls();
    test_signal();
    test_options(arguments[1]);
    test_run(arguments[1]);
    if (failures == 0) puts("ok");
    return failures == 0 ? 0 : 1;
}
