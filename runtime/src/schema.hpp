// What manifest.json may look like: one table, checked in one pass, so that no reader of a field needs to ask for its type again.
#pragma once

#include "json.hpp"

namespace edgeseg {

// Throws Error (EDGESEG_E_MANIFEST, or EDGESEG_E_UNSUPPORTED for another schema or an unknown value) whose sentence follows "manifest.json ". Removes from
// graphs, engines, evaluations, golden and documents the entries with an enum value that this library does not know.
void check_schema(Json& manifest);

}  // namespace edgeseg
