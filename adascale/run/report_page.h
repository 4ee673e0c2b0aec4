#pragma once
#include <string>

namespace adascale {

/// report.html: a page of its own, which loads nothing, of the report that report_json gave.
std::string report_page(const std::string& report_json);

}  // namespace adascale
