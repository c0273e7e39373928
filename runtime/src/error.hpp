// The one exception type inside the library; api.cpp turns it into a status and a sentence.
#pragma once

#include <stdexcept>
#include <string>

#include "edgeseg/edgeseg.h"

namespace edgeseg {

class Error : public std::runtime_error {
public:
    Error(edgeseg_status status, const std::string& sentence) : std::runtime_error(sentence), status_(status) {}
    edgeseg_status status() const noexcept { return status_; }

private:
    edgeseg_status status_;
};

}  // namespace edgeseg
