#include "core/atomic_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "core/error.h"

namespace sparsescope {
namespace {

namespace fs = std::filesystem;

class Descriptor {
 public:
  Descriptor(const fs::path& path, int flags) : fd_(::open(path.c_str(), flags)) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int fd() const { return fd_; }

 private:
  int fd_;
};

[[noreturn]] void fail_write(const fs::path& path, int code) {
  const ErrorKind kind = code == ENOSPC || code == EDQUOT ? ErrorKind::kResource : ErrorKind::kUsage;
  fail(kind, "{}: cannot be written: {}", path.string(), std::strerror(code));
}

void sync(const fs::path& path, int flags) {
  const Descriptor file(path, flags);
  if (file.fd() < 0 || ::fsync(file.fd()) != 0) fail_write(path, errno);
}

fs::path folder_of(const fs::path& path) {
  return path.has_parent_path() ? path.parent_path() : fs::path(".");
}

// Publishes without replacing: link() fails where the name exists, rename() would not.
void publish(const fs::path& temporary, const fs::path& path, bool replace) {
  if (replace) {
    if (::rename(temporary.c_str(), path.c_str()) != 0) fail_write(path, errno);
    return;
  }
  if (::link(temporary.c_str(), path.c_str()) == 0) {
    ::unlink(temporary.c_str());
    return;
  }
  if (errno == EEXIST) check_writable_output(path, false);
  // Some file systems have no hard links.
  check_writable_output(path, false);
  if (::rename(temporary.c_str(), path.c_str()) != 0) fail_write(path, errno);
}

}  // namespace

void check_writable_output(const fs::path& path, bool replace) {
  SPARSESCOPE_CHECK(ErrorKind::kUsage, !path.empty(), "an output file needs a name");
  SPARSESCOPE_CHECK(ErrorKind::kUsage, !fs::is_directory(path), "{}: is a folder, expected a file name",
                    path.string());
  SPARSESCOPE_CHECK(ErrorKind::kUsage, replace || !fs::exists(path),
                    "{}: exists already; --force replaces it", path.string());
  SPARSESCOPE_CHECK(ErrorKind::kUsage, fs::is_directory(folder_of(path)),
                    "{}: the folder {} does not exist", path.string(), folder_of(path).string());
}

void write_atomically(const fs::path& path, bool replace,
                      const std::function<void(const fs::path&)>& write) {
  static std::atomic<uint64_t> counter{0};
  check_writable_output(path, replace);
  const fs::path temporary =
      folder_of(path) / fmt::format(".{}.{}.{}.tmp", path.filename().string(), ::getpid(), counter++);
  try {
    write(temporary);
    sync(temporary, O_RDONLY);
    publish(temporary, path, replace);
    sync(folder_of(path), O_RDONLY | O_DIRECTORY);
  } catch (...) {
    std::error_code ignored;
    fs::remove(temporary, ignored);
    throw;
  }
}

void write_text_atomically(const fs::path& path, std::string_view text, bool replace) {
  write_atomically(path, replace, [&](const fs::path& temporary) {
    std::ofstream file(temporary, std::ios::binary);
    file.write(text.data(), static_cast<std::streamsize>(text.size()));
    file.flush();
    if (!file) fail_write(path, errno);
  });
}

}  // namespace sparsescope
