// HDF5 keeps texts in global heaps, the one structure without a checksum, and copies as many bytes
// as a heap object claims to have. So the chain of objects is walked before the library reads a
// text.
//
// Collection: "GCOL", version 1, 3 zero bytes, u64 size; then objects: u16 index, u16 count, u32
// zero, u64 size, data padded to 8 bytes. Index 0 is the free space that ends the collection.
#include <algorithm>
#include <cstring>
#include <fstream>
#include <iterator>

#include "core/error.h"
#include "core/hdf5_handle.h"

namespace sparsescope::hdf5 {
namespace {

constexpr std::string_view kSignature("GCOL\1\0\0\0", 8);
constexpr uint64_t kHeader = 16;  // of a collection and of an object alike

template <typename T>
T number_at(const std::string& bytes, uint64_t place) {
  T value;
  std::memcpy(&value, bytes.data() + place, sizeof(value));
  return value;
}

// The free space claims its header too.
bool sound_collection(const std::string& bytes, uint64_t first) {
  const uint64_t size = number_at<uint64_t>(bytes, first + 8);
  if (size < kHeader || size > bytes.size() - first) return false;
  uint64_t place = first + kHeader;
  const uint64_t end = first + size;
  while (end - place >= kHeader) {
    const bool free_space = number_at<uint16_t>(bytes, place) == 0;
    const uint64_t claimed = number_at<uint64_t>(bytes, place + 8);
    if (claimed > end - place) return false;
    if (free_space) return claimed == end - place;
    const uint64_t length = kHeader + (claimed + 7) / 8 * 8;
    if (length > end - place || number_at<uint32_t>(bytes, place + 4) != 0) return false;
    place += length;
  }
  return true;
}

}  // namespace

void check_heaps(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  for (size_t at = bytes.find(kSignature); at != std::string::npos;
       at = bytes.find(kSignature, at + 1)) {
    if (bytes.size() - at < kHeader) return;
    SPARSESCOPE_CHECK(ErrorKind::kData, sound_collection(bytes, at),
                      "{}: the heap of texts at byte {} is damaged", path.string(), at);
  }
}

}  // namespace sparsescope::hdf5
