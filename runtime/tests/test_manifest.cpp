// The strict reader: what the contract refuses is refused, with the right status.
#include "check.hpp"
#include "error.hpp"
#include "json.hpp"
#include "manifest.hpp"
#include "sample.hpp"

using edgeseg::parse_json;
using edgeseg::parse_manifest;

namespace {

edgeseg::Manifest parse(const std::string& text) { return parse_manifest(text.data(), text.size()); }
void refuse_json(const std::string& text) { EXPECT_ERROR(EDGESEG_E_MANIFEST, parse_json(text.data(), text.size())); }
void refuse(const std::string& from, const std::string& to) {
    const int before = check::failures();
    EXPECT_ERROR(EDGESEG_E_MANIFEST, parse(sample::changed(from, to)));
    if (check::failures() != before) std::fprintf(stderr, "  with %s for %s\n", to.c_str(), from.c_str());
}
void unsupported(const std::string& from, const std::string& to) { EXPECT_ERROR(EDGESEG_E_UNSUPPORTED, parse(sample::changed(from, to))); }

std::string repeated(const std::string& text, int times) {
    std::string out;
    for (int i = 0; i < times; ++i) out += text;
    return out;
}

}  // namespace

TEST(sample_is_read) {
    const edgeseg::Manifest manifest = parse(sample::manifest());
    EXPECT_EQ(manifest.name, "sample");
    EXPECT_EQ(manifest.height, 24);
    EXPECT_EQ(manifest.channels(), 1);
    EXPECT_EQ(int{manifest.classes[1].threshold}, 128);
    EXPECT_EQ(int{manifest.classes[1].g}, 0xe5);
    EXPECT_EQ(int{manifest.classes[1].b}, 0xa0);
    EXPECT(manifest.fit.mode == edgeseg::Fit::Mode::pad && !manifest.fit.content);
    EXPECT_EQ(manifest.graphs.at(0).file.size, 5);
    EXPECT(manifest.golden.at(0).expected.at(0).graph == "float");
}

TEST(json_limits) {
    refuse_json("");
    refuse_json("[]");
    refuse_json("3");
    refuse_json("{");
    refuse_json("{}x");
    refuse_json("{\"a\": null}");
    refuse_json("{\"a\": NaN}");
    refuse_json("{\"a\": Infinity}");
    refuse_json("{\"a\": 1e999}");
    refuse_json("{\"a\": 01}");
    refuse_json("{\"a\": 9007199254740992}");
    refuse_json("{\"a\": -9007199254740992}");
    refuse_json("{\"a\": 99999999999999999999999999}");
    refuse_json("{\"a\": 1, \"a\": 1}");
    refuse_json("{\"a\": {\"b\": 1, \"b\": 2}}");
    refuse_json("\xef\xbb\xbf{}");
    refuse_json(std::string("{}\0}", 4));
    refuse_json("{\"a\": \"\xff\"}");
    refuse_json("{\"a\": \"\\ud800\"}");
    refuse_json("{\"a\": \"\\u0000\"}");
    refuse_json("{\"a\": \"" + std::string(1025, 'x') + "\"}");
    refuse_json("{\"" + std::string(1025, 'x') + "\": 1}");
    refuse_json("{\"a\": [" + repeated("1,", 1024) + "1]}");
    refuse_json("{\"a\": " + repeated("[", 6) + repeated("]", 6) + "}");
    refuse_json("{\"a\": " + repeated("[", 500000));
    refuse_json("{}" + std::string(1 << 20, ' '));
    const std::string edge = "{\"a\": " + repeated("[", 5) + repeated("]", 5) + ", \"b\": 9007199254740991, \"c\": \"" + std::string(1024, 'x') + "\"}";
    EXPECT_EQ(parse_json(edge.data(), edge.size()).find("b")->integer, 9007199254740991);
}

TEST(trainings_before_this_one) {
    const std::string hash = std::string(64, '0');
    const auto with = [&hash](const std::string& images) {
        return R"("splits": [], "ancestors": [{"recipe": "r", "seed": 0, "weights_sha256": ")" + hash + R"(", "parent_sha256": ")" + hash +
               R"(", "data": [{"name": "d", "listing_sha256": ")" + hash + R"(", "terms": "none"}],
 "splits": [{"data": "d", "split": "train", "images": )" + images + R"(, "list_sha256": ")" + hash + R"("}]}]})";
    };
    EXPECT_EQ(parse(sample::changed(R"("splits": []})", with("7"))).name, "sample");
    refuse(R"("splits": []})", with("-7"));
    refuse(R"("splits": []})", R"("splits": [], "ancestors": [{}]})");
    refuse(R"("splits": []})", R"("splits": [], "ancestors": {}})");
}

TEST(fields_have_one_type) {
    refuse("\"height\": 24, \"width\": 32, \"channels\"", "\"height\": 24.0, \"width\": 32, \"channels\"");
    refuse("\"height\": 24, \"width\": 32, \"channels\"", "\"height\": \"24\", \"width\": 32, \"channels\"");
    refuse("\"height\": 24, \"width\": 32, \"channels\"", "\"height\": 0, \"width\": 32, \"channels\"");
    refuse("\"height\": 24, \"width\": 32, \"channels\"", "\"height\": -24, \"width\": 32, \"channels\"");
    refuse("\"height\": 24, \"width\": 32, \"channels\"", "\"height\": 16385, \"width\": 32, \"channels\"");
    refuse("\"enlarge\": true", "\"enlarge\": 1");
    refuse("\"threshold\": 128", "\"threshold\": 0");
    refuse("\"threshold\": 128", "\"threshold\": 256");
    refuse("\"dirty\": false", "\"dirty\": \"no\"");
    refuse("\"smoothing\": 0.0", "\"smoothing\": 0.96");
    refuse("\"steps\": []", "\"steps\": {}");
    refuse("\"task\": {", "\"task\": [], \"was\": {");
    refuse("\"name\": \"sample\"", "\"name\": \"Sample\"");
    refuse("\"name\": \"sample\"", "\"name\": \"\"");
    refuse("#00e5A0", "#00e5g0");
    refuse("2026-11-21T09:30:00Z", "2026-11-21 09:30:00");
    refuse("2026-11-21T09:30:00Z", "2026-02-29T09:30:00Z");
    refuse("2026-11-21T09:30:00Z", "2026-11-21T24:30:00Z");
    refuse("\"input\": [1, 24, 32, 3]", "\"input\": [1, 24, 32]");
    refuse("\"input\": [1, 24, 32, 3]", "\"input\": [1, 24, 32, 3.5]");
    refuse("\"max_fraction\": 0.0", "\"max_fraction\": 1.5");
}

TEST(missing_fields_and_unknown_keys) {
    refuse("\"terms\":", "\"other\":");
    refuse("\"use\":", "\"other\":");
    refuse("\"graphs\":", "\"other\":");
    refuse("\"golden\":", "\"other\":");
    EXPECT_EQ(parse(sample::changed("\"task\":", "\"new\": {\"deep\": [1, 2]}, \"task\":")).name, "sample");
}

TEST(hostile_paths_are_refused) {
    for (const char* path : {"../x", "graphs/../../x", "/etc/passwd", "graphs//x", "graphs/", "", ".hidden", "graphs/.x", "a b", "a\\\\b", "a\\u0001", "a%2e"}) {
        refuse("graphs/float.onnx", path);
    }
    refuse("graphs/float.onnx", std::string(129, 'a'));
    EXPECT_EQ(parse(sample::changed("graphs/float.onnx", std::string(128, 'a'))).graphs[0].file.path.size(), std::size_t{128});
}

TEST(versions_and_enums) {
    unsupported("\"schema\": 1", "\"schema\": 2");
    refuse("\"schema\": 1", "\"schema\": \"1\"");
    refuse("\"format\": \"edgeseg\"", "\"format\": \"other\"");
    refuse("\"kind\": \"bundle\"", "\"kind\": \"run\"");
    unsupported("\"region\": \"frame\"", "\"region\": \"circle\"");
    unsupported("\"upsample\": \"bilinear\"", "\"upsample\": \"cubic\"");
    unsupported("\"steps\": []", "\"steps\": [{\"op\": \"sharpen\", \"clip_limit\": 2.0, \"tiles\": 8}]");
}

TEST(unknown_entries_are_skipped_where_the_contract_says) {
    const std::string graph = "{\"name\": \"new\", \"form\": \"float9\", \"precision\": \"fp4\", \"opset\": 30, \"input\": [1, 24, 32, 3], \"resize\": \"host\", \"gate\": "
                              "\"passed\", \"file\": \"x\", \"size\": 1, \"sha256\": \"" + std::string(64, 'a') + "\"}, ";
    EXPECT_EQ(parse(sample::changed("\"graphs\": [", "\"graphs\": [" + graph)).graphs.size(), std::size_t{1});
    std::string wrong = graph;
    wrong.replace(wrong.find("\"opset\": 30"), 11, "\"opset\": \"x\"");
    refuse("\"graphs\": [", "\"graphs\": [" + wrong);
    std::string known = graph;
    known.replace(known.find("float9"), 6, "float").replace(known.find("fp4"), 3, "fp16");
    EXPECT_EQ(parse(sample::changed("\"graphs\": [", "\"graphs\": [" + known)).graphs.size(), std::size_t{2});
    refuse("\"graphs\": [", "\"graphs\": [" + known + known);  // one name twice
}

TEST(consistency) {
    refuse("\"channels\": 1, \"height\": 24", "\"channels\": 2, \"height\": 24");
    refuse("\"channels\": 1, \"height\": 24", "\"channels\": 1, \"height\": 25");
    refuse("{\"name\": \"background\", \"color\": \"#000000\"}", "{\"name\": \"background\", \"color\": \"#000000\", \"threshold\": 4}");
    refuse(", \"threshold\": 128", "");
    refuse("\"name\": \"polyp\"", "\"name\": \"background\"");
    refuse("\"terms\":", "\"operating_points\": [{\"class\": \"polyp\", \"rule\": \"r\", \"data\": \"d\", \"split\": \"test\", \"ece\": 0.1, "
                         "\"thresholds\": [1], \"sensitivity\": [1], \"precision\": [1]}], \"terms\":");
}

TEST(huge_sizes_are_refused_before_anything_is_allocated) {
    std::string text = sample::manifest();
    for (std::size_t at; (at = text.find("\"height\": 24, \"width\": 32, \"")) != std::string::npos;) text.replace(at, 27, "\"height\": 16384, \"width\": 16384, ");
    EXPECT_ERROR(EDGESEG_E_UNSUPPORTED, parse(text));
}

TEST_MAIN()
