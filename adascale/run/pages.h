#pragma once
#include <string>

namespace adascale {

// Pages of their own, which load nothing, of one frame (page/page.html).

/// report.html, of the report that report_json gave.
std::string report_page(const std::string& report_json);

/// Of `evaluate`, of what evaluation_json gave.
std::string evaluation_page(const std::string& evaluation_json);

/// Of `inspect`, of what inspection_json gave.
std::string inspection_page(const std::string& inspection_json);

}  // namespace adascale
