#pragma once

#include "bundle.hpp"

namespace edgeseg {

// Refuses a graph that keeps tensors in other files: runtimes open those relative to the working folder, even for a graph given from
// memory, and a bundle's files are only those its manifest lists. Refuses operators that are not listed, and loops. Only protobuf's
// outer form is walked, nothing is built.
// Throws Error(EDGESEG_E_MANIFEST) whose sentence follows the graph's name.
void check_onnx(const Bytes& model);

}  // namespace edgeseg
