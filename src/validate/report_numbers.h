// Numbers of a report in the file. JSON knows no infinity: an infinite error (a head whose dense
// output is zero) stands as kInfiniteError.
#pragma once

#include <optional>
#include <string>

#include "plan/json_place.h"
#include "validate/report.h"

namespace sparsescope {

inline constexpr double kInfiniteError = 1e300;

double finite(double value);
Json optional_number(const std::optional<double>& value);

// A number of that name within its natural range; null is no number.
double read_value(const JsonPlace& place, const std::string& name);
std::optional<double> read_bound(const JsonPlace& place, const std::string& name);

// name, and with an interval name_low and name_high, as keys of an object.
void put_summary_value(Json& object, const std::string& name, const SummaryValue& value);
// The number of keys that it takes.
size_t take_summary_value(const JsonPlace& object, const std::string& name, SummaryValue& value);

}  // namespace sparsescope
