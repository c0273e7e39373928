// Which file runs: every rule of the contract with made-up machines.
#include "check.hpp"
#include "choose.hpp"
#include "error.hpp"

using namespace edgeseg;

namespace {

Graph graph(const char* name, const char* form, Precision precision, Gate gate) {
    Graph out;
    out.name = name;
    out.form = form;
    out.precision = precision;
    out.gate = gate;
    out.input = {1, 24, 32, 3};
    return out;
}

Engine engine(const char* name, Precision precision, Gate gate) {
    Engine out;
    out.name = name;
    out.graph = "fp16-trt-typed";
    out.graph_sha256 = "its hash";
    out.precision = precision;
    out.gate = gate;
    out.profile_min = out.profile_max = {1, 24, 32, 3};
    return out;
}

Manifest manifest() {
    Manifest out;
    out.name = "m";
    out.height = 24;
    out.width = 32;
    out.graphs = {graph("float", "float", Precision::fp32, Gate::passed), graph("int8-cpu", "cpu", Precision::int8, Gate::passed),
                  graph("int8-cpu-7bit", "cpu", Precision::int8, Gate::passed), graph("fp16-trt-typed", "trt-typed", Precision::fp16, Gate::parity)};
    out.graphs.back().file.sha256 = "its hash";
    out.engines = {engine("trt-fp16", Precision::fp16, Gate::passed)};
    return out;
}

Machine cpu() {
    Machine out;
    out.openvino = out.onnxruntime = true;
    return out;
}

Machine gpu(edgeseg_status obstacle = EDGESEG_OK) {
    Machine out = cpu();
    out.tensorrt = true;
    out.obstacle = [obstacle](const Engine&) { return Obstacle{obstacle, "it does not fit"}; };
    return out;
}

Wish wish(std::uint32_t backend, std::uint32_t precision, bool pending = false) { return {backend, precision, pending}; }

}  // namespace

TEST(auto_takes_int8_on_openvino) {
    const Choice choice = choose(manifest(), {}, cpu());
    EXPECT_EQ(choice.name, "int8-cpu");
    EXPECT_EQ(choice.backend, std::uint32_t{EDGESEG_OPENVINO});
    EXPECT(choice.gate == Gate::passed);
}

TEST(seven_bits_without_vnni_whatever_the_order) {
    Machine old = cpu();
    old.vnni = false;
    EXPECT_EQ(choose(manifest(), {}, old).name, "int8-cpu-7bit");
    Manifest turned = manifest();
    std::swap(turned.graphs[1], turned.graphs[2]);
    EXPECT_EQ(choose(turned, {}, old).name, "int8-cpu-7bit");
    EXPECT_EQ(choose(turned, {}, cpu()).name, "int8-cpu");
}

TEST(full_range_weights_do_not_run_in_openvino_without_vnni) {
    Machine old = cpu();
    old.vnni = false;
    Manifest arm = manifest();
    arm.graphs.erase(arm.graphs.begin() + 2);
    EXPECT_EQ(choose(arm, {}, cpu()).name, "int8-cpu");
    EXPECT_EQ(choose(arm, {}, old).name, "float");
    EXPECT_ERROR(EDGESEG_E_UNSUPPORTED, choose(arm, wish(EDGESEG_OPENVINO, EDGESEG_INT8), old));
    for (const std::uint32_t backend : {EDGESEG_BACKEND_AUTO, EDGESEG_ONNXRUNTIME}) {
        const Choice exact = choose(arm, wish(backend, EDGESEG_INT8), old);
        EXPECT_EQ(exact.name, "int8-cpu");
        EXPECT_EQ(exact.backend, std::uint32_t{EDGESEG_ONNXRUNTIME});
    }
    EXPECT_EQ(choose(manifest(), wish(EDGESEG_ONNXRUNTIME, EDGESEG_INT8), old).name, "int8-cpu-7bit");
    arm.graphs[1].gate = Gate::pending;
    EXPECT_ERROR(EDGESEG_E_UNSUPPORTED, choose(arm, wish(EDGESEG_OPENVINO, EDGESEG_INT8, true), old));
}

TEST(an_engine_of_another_graph_does_not_run) {
    EXPECT_EQ(choose(manifest(), {}, gpu()).name, "trt-fp16");
    Manifest changed = manifest();
    changed.graphs.back().file.sha256 = "another";
    EXPECT_EQ(choose(changed, {}, gpu()).name, "int8-cpu");
    EXPECT_ERROR(EDGESEG_E_FINGERPRINT, choose(changed, wish(EDGESEG_TENSORRT, EDGESEG_FP16), gpu()));
    changed.graphs.pop_back();  // its graph is gone
    EXPECT_ERROR(EDGESEG_E_FINGERPRINT, choose(changed, wish(EDGESEG_TENSORRT, EDGESEG_FP16), gpu()));
}

TEST(variants_for_batches_stand_back) {
    Manifest m = manifest();
    m.engines.clear();
    m.graphs = {graph("int8-cpu-7bit-dynamic", "cpu", Precision::int8, Gate::parity), graph("int8-cpu-dynamic", "cpu", Precision::int8, Gate::parity),
                graph("float-dynamic", "float", Precision::fp32, Gate::parity),       graph("int8-cpu-7bit", "cpu", Precision::int8, Gate::parity),
                graph("int8-cpu", "cpu", Precision::int8, Gate::parity),              graph("float", "float", Precision::fp32, Gate::parity)};
    for (const std::size_t dynamic : {0U, 1U, 2U}) m.graphs[dynamic].input[0] = 0;
    Machine old = cpu();
    old.vnni = false;
    EXPECT_EQ(choose(m, {}, cpu()).name, "int8-cpu");
    EXPECT_EQ(choose(m, {}, old).name, "int8-cpu-7bit");
    EXPECT_EQ(choose(m, wish(EDGESEG_OPENVINO, EDGESEG_FP32), cpu()).name, "float");
    m.graphs.resize(3);
    EXPECT_EQ(choose(m, wish(EDGESEG_OPENVINO, EDGESEG_FP32), cpu()).name, "float-dynamic");
}

TEST(passed_comes_before_parity_and_parity_before_nothing) {
    Manifest m = manifest();
    m.graphs[1].gate = m.graphs[2].gate = Gate::parity;
    EXPECT_EQ(choose(m, {}, cpu()).name, "float");
    m.graphs[0].gate = Gate::parity;
    EXPECT_EQ(choose(m, {}, cpu()).name, "int8-cpu");
}

TEST(pending_runs_only_when_asked_for_by_name) {
    Manifest m = manifest();
    for (Graph& one : m.graphs) one.gate = Gate::pending;
    EXPECT_ERROR(EDGESEG_E_PENDING, choose(m, {}, cpu()));
    EXPECT_ERROR(EDGESEG_E_PENDING, choose(m, wish(EDGESEG_OPENVINO, EDGESEG_INT8), cpu()));
    EXPECT_ERROR(EDGESEG_E_PENDING, choose(m, wish(EDGESEG_OPENVINO, EDGESEG_PRECISION_AUTO, true), cpu()));
    EXPECT_ERROR(EDGESEG_E_PENDING, choose(m, wish(EDGESEG_BACKEND_AUTO, EDGESEG_INT8, true), cpu()));
    EXPECT_EQ(choose(m, wish(EDGESEG_OPENVINO, EDGESEG_INT8, true), cpu()).name, "int8-cpu");
}

TEST(tensorrt_first_if_an_engine_fits) {
    EXPECT_EQ(choose(manifest(), {}, gpu()).name, "trt-fp16");
    EXPECT_EQ(choose(manifest(), {}, gpu()).graph, "fp16-trt-typed");
    EXPECT_EQ(choose(manifest(), {}, gpu(EDGESEG_E_FINGERPRINT)).name, "int8-cpu");
    EXPECT_ERROR(EDGESEG_E_FINGERPRINT, choose(manifest(), wish(EDGESEG_TENSORRT, EDGESEG_PRECISION_AUTO), gpu(EDGESEG_E_FINGERPRINT)));
    EXPECT_ERROR(EDGESEG_E_DEVICE, choose(manifest(), wish(EDGESEG_TENSORRT, EDGESEG_FP16), gpu(EDGESEG_E_DEVICE)));
}

TEST(what_was_asked_for_and_is_not_there_is_an_error) {
    EXPECT_ERROR(EDGESEG_E_UNSUPPORTED, choose(manifest(), wish(EDGESEG_TENSORRT, EDGESEG_PRECISION_AUTO), cpu()));
    EXPECT_ERROR(EDGESEG_E_UNSUPPORTED, choose(manifest(), wish(EDGESEG_OPENVINO, EDGESEG_FP16), cpu()));
    EXPECT_ERROR(EDGESEG_E_UNSUPPORTED, choose(manifest(), wish(EDGESEG_ONNXRUNTIME, EDGESEG_BF16), cpu()));
    EXPECT_EQ(choose(manifest(), wish(EDGESEG_OPENVINO, EDGESEG_BF16), cpu()).name, "float");
    EXPECT(choose(manifest(), wish(EDGESEG_OPENVINO, EDGESEG_BF16), cpu()).gate == Gate::parity);
    EXPECT_EQ(choose(manifest(), wish(EDGESEG_ONNXRUNTIME, EDGESEG_FP32), cpu()).backend, std::uint32_t{EDGESEG_ONNXRUNTIME});
    Machine none;
    EXPECT_ERROR(EDGESEG_E_UNSUPPORTED, choose(manifest(), {}, none));
}

TEST(graphs_for_other_inputs_are_passed_over) {
    Manifest m = manifest();
    m.graphs[1].input = {8, 24, 32, 3};
    m.graphs[2].host_resize = false;
    EXPECT_EQ(choose(m, {}, cpu()).name, "float");
    m.graphs[0].input = {0, 24, 32, 3};
    EXPECT_EQ(choose(m, {}, cpu()).name, "float");
    m.graphs[0].input = {1, 48, 32, 3};
    EXPECT_ERROR(EDGESEG_E_UNSUPPORTED, choose(m, {}, cpu()));
}

TEST_MAIN()
