#include "checkpoint/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "core/error.h"

namespace sparsescope {
namespace {

// Size of an open regular file.
size_t regular_file_size(int descriptor, const std::filesystem::path& path) {
  struct stat status {};
  SPARSESCOPE_CHECK(ErrorKind::kData, ::fstat(descriptor, &status) == 0, "{}: cannot be read: {}",
                    path.string(), std::strerror(errno));
  SPARSESCOPE_CHECK(ErrorKind::kData, S_ISREG(status.st_mode), "{}: expected a regular file",
                    path.string());
  return static_cast<size_t>(status.st_size);
}

}  // namespace

std::shared_ptr<const MappedFile> MappedFile::open(const std::filesystem::path& path) {
  // Owned before anything can fail, so that the destructor closes what was opened.
  std::shared_ptr<MappedFile> file(new MappedFile(path));
  file->size_ = regular_file_size(file->descriptor_, path);
  if (file->size_ == 0) return file;
  void* mapping = ::mmap(nullptr, file->size_, PROT_READ, MAP_PRIVATE, file->descriptor_, 0);
  SPARSESCOPE_CHECK(ErrorKind::kResource, mapping != MAP_FAILED,
                    "{}: {} bytes cannot be mapped: {}", path.string(), file->size_,
                    std::strerror(errno));
  file->data_ = static_cast<const std::byte*>(mapping);
  // Reading behind the end of a file that shrank would raise SIGBUS.
  const size_t size_now = regular_file_size(file->descriptor_, path);
  SPARSESCOPE_CHECK(ErrorKind::kData, size_now == file->size_,
                    "{}: changed while it was opened: expected {} bytes, found {}", path.string(),
                    file->size_, size_now);
  return file;
}

// Without O_NONBLOCK, opening a named pipe would wait for a writer.
MappedFile::MappedFile(const std::filesystem::path& path)
    : descriptor_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {
  SPARSESCOPE_CHECK(ErrorKind::kData, descriptor_ >= 0, "{}: cannot be opened: {}", path.string(),
                    std::strerror(errno));
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
  ::close(descriptor_);
}

}  // namespace sparsescope
