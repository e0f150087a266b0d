#include "export/python_literal.h"

#include <algorithm>
#include <array>
#include <utility>

#include "core/error.h"
#include "export/draft_file.h"

namespace sparsescope {
namespace {

using Words = std::array<std::pair<std::string_view, std::string_view>, 3>;
constexpr Words kToPython = {{{"true", "True"}, {"false", "False"}, {"null", "None"}}};

// JSON and Python's literals of strings, numbers, lists and dictionaries are the same; the words
// outside of strings are not.
std::string translate(std::string_view text, bool to_python) {
  std::string result;
  bool in_string = false;
  for (size_t i = 0; i < text.size();) {
    const auto word = std::find_if(kToPython.begin(), kToPython.end(), [&](const auto& words) {
      return !in_string && text.substr(i).starts_with(to_python ? words.first : words.second);
    });
    if (word != kToPython.end()) {
      result += to_python ? word->second : word->first;
      i += (to_python ? word->first : word->second).size();
      continue;
    }
    const bool escaped = in_string && text[i] == '\\' && i + 1 < text.size();
    if (text[i] == '"') in_string = !in_string;
    result += text.substr(i, escaped ? 2 : 1);
    i += escaped ? 2 : 1;
  }
  return result;
}

}  // namespace

std::string to_python(const Json& object, std::string_view name, std::string_view comment) {
  return fmt::format("{}{} = {}\n", comment_block(comment), name, translate(object.dump(4), true));
}

Json parse_python(std::string_view text, std::string_view name, const std::string& what) {
  while (text.starts_with("#")) text.remove_prefix(std::min(text.find('\n') + 1, text.size()));
  const std::string start = fmt::format("{} = {{", name);
  SPARSESCOPE_CHECK(ErrorKind::kData, text.starts_with(start),
                    "{}: expected comments and '{}', found '{}'", what, start, text.substr(0, 40));
  text.remove_prefix(start.size() - 1);
  return parse_json(translate(text, false), what);
}

}  // namespace sparsescope
