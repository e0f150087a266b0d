// A value inside a JSON document together with the place where it stands, so that strict readers
// can say what was expected and what was found: "plan.json: /rules/0/top_k: expected ..., found
// ...".
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/json_io.h"

namespace sparsescope {

class JsonPlace {
 public:
  // value must outlive the place; what names the document.
  JsonPlace(const Json& value, std::string what, std::string pointer = "");

  // All of these are Error(kData) where the value is another than asked for.
  JsonPlace at(std::string_view key) const;
  std::optional<JsonPlace> find(std::string_view key) const;  // empty where missing
  std::vector<JsonPlace> items() const;
  std::vector<JsonPlace> items(size_t count) const;
  std::string text() const;
  bool boolean() const;
  int64_t integer(int64_t low, int64_t high) const;
  double number(double low, double high) const;
  uint64_t seed() const;  // any whole number of 64 bits without sign
  std::array<int64_t, 3> triple(int64_t low, int64_t high) const;  // axes t, h, w
  bool is_null() const { return value_->is_null(); }
  bool is_array() const { return value_->is_array(); }
  // An object with all of required and nothing besides required and optional.
  void check_keys(std::initializer_list<std::string_view> required,
                  std::initializer_list<std::string_view> optional = {}) const;

  const Json& value() const { return *value_; }
  const std::string& what() const { return what_; }
  [[noreturn]] void fail_expected(const std::string& expected) const;

 private:
  const Json* value_;
  std::string what_;
  std::string pointer_;
};

}  // namespace sparsescope
