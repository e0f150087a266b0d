#include "plan/json_place.h"

#include <algorithm>

#include "core/error.h"

namespace sparsescope {
namespace {

constexpr size_t kShownCharacters = 60;

std::string shown(const Json& value) {
  std::string text = value.dump(-1, ' ', false, Json::error_handler_t::replace);
  if (text.size() > kShownCharacters) text = text.substr(0, kShownCharacters) + "...";
  return text;
}

// RFC 6901: ~ and / of a key are written ~0 and ~1.
std::string escaped(std::string_view key) {
  std::string result;
  for (const char c : key) {
    if (c == '~') {
      result += "~0";
    } else if (c == '/') {
      result += "~1";
    } else {
      result += c;
    }
  }
  return result;
}

}  // namespace

JsonPlace::JsonPlace(const Json& value, std::string what, std::string pointer)
    : value_(&value), what_(std::move(what)), pointer_(std::move(pointer)) {}

void JsonPlace::fail_expected(const std::string& expected) const {
  fail(ErrorKind::kData, "{}: {}: expected {}, found {}", what_,
       pointer_.empty() ? "the document" : pointer_, expected, shown(*value_));
}

std::optional<JsonPlace> JsonPlace::find(std::string_view key) const {
  if (!value_->is_object()) fail_expected("an object");
  const auto found = value_->find(std::string(key));
  if (found == value_->end()) return std::nullopt;
  return JsonPlace(*found, what_, pointer_ + "/" + escaped(key));
}

JsonPlace JsonPlace::at(std::string_view key) const {
  std::optional<JsonPlace> found = find(key);
  if (!found) fail_expected(fmt::format("the key \"{}\"", key));
  return *found;
}

std::vector<JsonPlace> JsonPlace::items() const {
  if (!value_->is_array()) fail_expected("an array");
  std::vector<JsonPlace> result;
  result.reserve(value_->size());
  for (size_t i = 0; i < value_->size(); ++i) {
    result.emplace_back((*value_)[i], what_, fmt::format("{}/{}", pointer_, i));
  }
  return result;
}

std::vector<JsonPlace> JsonPlace::items(size_t count) const {
  if (!value_->is_array() || value_->size() != count) {
    fail_expected(fmt::format("an array of {} values", count));
  }
  return items();
}

std::string JsonPlace::text() const {
  if (!value_->is_string()) fail_expected("a string");
  return value_->get<std::string>();
}

bool JsonPlace::boolean() const {
  if (!value_->is_boolean()) fail_expected("true or false");
  return value_->get<bool>();
}

int64_t JsonPlace::integer(int64_t low, int64_t high) const {
  const bool fits = value_->is_number_integer() &&
                    (!value_->is_number_unsigned() ||
                     value_->get<uint64_t>() <= static_cast<uint64_t>(INT64_MAX)) &&
                    value_->get<int64_t>() >= low && value_->get<int64_t>() <= high;
  if (!fits) fail_expected(fmt::format("a whole number from {} to {}", low, high));
  return value_->get<int64_t>();
}

double JsonPlace::number(double low, double high) const {
  const bool fits =
      value_->is_number() && value_->get<double>() >= low && value_->get<double>() <= high;
  if (!fits) fail_expected(fmt::format("a number from {} to {}", low, high));
  return value_->get<double>();
}

uint64_t JsonPlace::seed() const {
  const bool fits =
      value_->is_number_unsigned() || (value_->is_number_integer() && value_->get<int64_t>() >= 0);
  if (!fits) fail_expected("a whole number from 0 to 2^64 - 1");
  return value_->get<uint64_t>();
}

std::array<int64_t, 3> JsonPlace::triple(int64_t low, int64_t high) const {
  const std::vector<JsonPlace> axes = items(3);
  return {axes[0].integer(low, high), axes[1].integer(low, high), axes[2].integer(low, high)};
}

void JsonPlace::check_keys(std::initializer_list<std::string_view> required,
                           std::initializer_list<std::string_view> optional) const {
  for (const std::string_view key : required) at(key);
  for (const auto& [key, child] : value_->items()) {
    const bool known = std::find(required.begin(), required.end(), key) != required.end() ||
                       std::find(optional.begin(), optional.end(), key) != optional.end();
    if (known) continue;
    std::vector<std::string_view> names(required);
    names.insert(names.end(), optional.begin(), optional.end());
    JsonPlace(child, what_, pointer_ + "/" + escaped(key))
        .fail_expected(fmt::format("no such key (known: {})", fmt::join(names, ", ")));
  }
}

}  // namespace sparsescope
