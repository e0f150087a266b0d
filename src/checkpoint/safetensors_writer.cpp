#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "checkpoint/printable.h"
#include "checkpoint/safetensors.h"
#include "checkpoint/safetensors_header.h"
#include "core/atomic_file.h"
#include "core/error.h"
#include "core/json_io.h"
#include "core/tensor_view.h"

namespace sparsescope {
namespace {

// What the reader would refuse is never written: a caller that asks for it has a defect.
void check_tensor(const TensorToWrite& tensor) {
  SPARSESCOPE_CHECK(
      ErrorKind::kInternal, tensor.name != "__metadata__" && tensor.shape.size() <= kMaxRank,
      "tensor \"{}\" {} cannot be written", printable(tensor.name), shape_to_string(tensor.shape));
  uint64_t bits = static_cast<uint64_t>(dtype_bits(tensor.dtype));
  for (const int64_t extent : tensor.shape) bits *= static_cast<uint64_t>(extent);
  SPARSESCOPE_CHECK(ErrorKind::kInternal, bits == uint64_t{tensor.bytes.size()} * 8,
                    "tensor \"{}\": {} {} has {} bits, found {} bytes", printable(tensor.name),
                    dtype_name(tensor.dtype), shape_to_string(tensor.shape), bits,
                    tensor.bytes.size());
}

std::string header_text(const std::vector<TensorToWrite>& tensors,
                        const std::map<std::string, std::string>& metadata) {
  Json header = Json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  uint64_t offset = 0;
  for (const TensorToWrite& tensor : tensors) {
    SPARSESCOPE_CHECK(ErrorKind::kInternal, !header.contains(tensor.name),
                      "two tensors \"{}\" in one file", printable(tensor.name));
    const uint64_t end = offset + tensor.bytes.size();
    header[tensor.name] = {{"dtype", dtype_file_name(tensor.dtype)},
                           {"shape", tensor.shape},
                           {"data_offsets", {offset, end}}};
    offset = end;
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');  // the length field has 8 bytes: data are aligned
  return text;
}

void write_bytes(const std::filesystem::path& path, const std::string& header,
                 const std::vector<TensorToWrite>& tensors,
                 const std::filesystem::path& final_path) {
  std::ofstream file(path, std::ios::binary);
  uint64_t total = 8 + header.size();
  for (int shift = 0; shift < 64; shift += 8) {
    file.put(static_cast<char>((uint64_t{header.size()} >> shift) & 0xffu));
  }
  file.write(header.data(), static_cast<std::streamsize>(header.size()));
  for (const TensorToWrite& tensor : tensors) {
    file.write(reinterpret_cast<const char*>(tensor.bytes.data()),
               static_cast<std::streamsize>(tensor.bytes.size()));
    total += tensor.bytes.size();
  }
  file.flush();
  SPARSESCOPE_CHECK(ErrorKind::kResource, file.good(), "{}: {} bytes cannot be written: {}",
                    final_path.string(), total, std::strerror(errno));
}

}  // namespace

void write_safetensors(const std::filesystem::path& path, std::vector<TensorToWrite> tensors,
                       const std::map<std::string, std::string>& metadata, bool replace) {
  std::for_each(tensors.begin(), tensors.end(), check_tensor);
  std::sort(tensors.begin(), tensors.end(), [](const TensorToWrite& a, const TensorToWrite& b) {
    const int bits_a = dtype_bits(a.dtype), bits_b = dtype_bits(b.dtype);
    return bits_a != bits_b ? bits_a > bits_b : a.name < b.name;
  });
  const std::string header = header_text(tensors, metadata);
  write_atomically(path, replace, [&](const std::filesystem::path& temporary) {
    write_bytes(temporary, header, tensors, path);
  });
}

}  // namespace sparsescope
