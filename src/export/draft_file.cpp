#include "export/draft_file.h"

#include <algorithm>
#include <fstream>
#include <iterator>

#include "core/error.h"

namespace sparsescope {

namespace fs = std::filesystem;

DraftFile text_file(const fs::path& path, std::string text,
                    std::function<void(const std::string&, const std::string&)> verify) {
  return {path,
          [text = std::move(text)](const fs::path& file) {
            std::ofstream stream(file, std::ios::binary);
            stream.write(text.data(), static_cast<std::streamsize>(text.size()));
            SPARSESCOPE_CHECK(ErrorKind::kResource, stream.flush().good(), "{}: cannot be written",
                              file.string());
          },
          [name = path.string(), verify = std::move(verify)](const fs::path& file) {
            verify(read_text(file), name);
          }};
}

DraftFile json_file(const fs::path& path, const Json& json,
                    std::function<void(const Json&, const std::string&)> verify) {
  return text_file(path, json.dump(2) + "\n",
                   [verify = std::move(verify)](const std::string& text, const std::string& what) {
                     verify(parse_json(text, what), what);
                   });
}

fs::path companion(const fs::path& out, const std::string& extension) {
  fs::path path = out;
  path.replace_extension(extension);
  SPARSESCOPE_CHECK(ErrorKind::kUsage, path != out,
                    "--out: expected another extension than {}, which the second file takes, found "
                    "{}",
                    extension, out.string());
  return path;
}

std::string comment_block(std::string_view lines) {
  std::string text;
  for (size_t begin = 0; begin < lines.size();) {
    const size_t end = std::min(lines.find('\n', begin), lines.size());
    text += fmt::format("# {}\n", lines.substr(begin, end - begin));
    begin = end + 1;
  }
  return text;
}

std::string read_text(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  SPARSESCOPE_CHECK(ErrorKind::kData, file.good(), "{}: cannot be read", path.string());
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace sparsescope
