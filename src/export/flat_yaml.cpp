#include "export/flat_yaml.h"

#include <algorithm>
#include <vector>

#include "core/error.h"
#include "export/draft_file.h"

namespace sparsescope {
namespace {

// Words that YAML 1.1 takes for something else than a string, and that we would write.
bool is_plain_word(const std::string& text) {
  static const char* const kReserved[] = {"true", "false", "null", "yes", "no",
                                          "on",   "off",   "y",    "n"};
  const auto is_word = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || c == '_';
  };
  std::string lower = text;
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return !text.empty() && std::isalpha(static_cast<unsigned char>(text.front())) &&
         std::all_of(text.begin(), text.end(), is_word) &&
         std::find(std::begin(kReserved), std::end(kReserved), lower) == std::end(kReserved);
}

std::string scalar_text(const Json& value) {
  if (value.is_string() && is_plain_word(value.get<std::string>())) return value.get<std::string>();
  std::string text = value.dump();
  // YAML 1.1 readers take 5e-06 for a string, 5.0e-06 for a number.
  const size_t exponent = value.is_number_float() ? text.find('e') : std::string::npos;
  if (exponent != std::string::npos && text.find('.') == std::string::npos) {
    text.insert(exponent, ".0");
  }
  return text;
}

void append(std::string& text, const Json& object, const std::string& indent) {
  for (const auto& [key, value] : object.items()) {
    if (value.is_object()) {
      text += indent + key + ":\n";
      append(text, value, indent + "  ");
    } else {
      text += indent + key + ": " + scalar_text(value) + "\n";
    }
  }
}

Json parse_scalar(const std::string& text, const std::string& what) {
  return is_plain_word(text) ? Json(text) : parse_json(text, what);
}

}  // namespace

std::string to_flat_yaml(const Json& object, std::string_view comment) {
  std::string text = comment_block(comment);
  append(text, object, "");
  return text;
}

Json parse_flat_yaml(std::string_view text, const std::string& what) {
  Json root = Json::object();
  std::vector<Json::json_pointer> path = {Json::json_pointer("")};  // of the open mappings
  int64_t line_number = 0;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string line(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    const std::string place = fmt::format("{}: line {}", what, ++line_number);
    const size_t indent = line.find_first_not_of(' ');
    if (indent == std::string::npos || line[indent] == '#') continue;
    const size_t colon = line.find(':', indent);
    const bool nested = colon + 1 == line.size();
    const std::string key = colon == std::string::npos ? "" : line.substr(indent, colon - indent);
    SPARSESCOPE_CHECK(ErrorKind::kData,
                      indent % 2 == 0 && indent / 2 < path.size() && is_plain_word(key) &&
                          (nested || line.substr(colon, 2) == ": "),
                      "{}: expected 'key: value' or 'key:' in a mapping of two blanks a level, "
                      "found '{}'",
                      place, line);
    path.resize(indent / 2 + 1);
    Json& parent = root[path.back()];
    SPARSESCOPE_CHECK(ErrorKind::kData, !parent.contains(key), "{}: the key \"{}\" stands twice",
                      place, key);
    parent[key] = nested ? Json::object() : parse_scalar(line.substr(colon + 2), place);
    if (nested) path.push_back(path.back() / key);
  }
  return root;
}

}  // namespace sparsescope
