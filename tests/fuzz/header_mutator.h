// Valid safetensors files and shard indices, and small damage to them, as functions of a number:
// the mutations that find bugs in parsers, without randomness between runs.
#pragma once

#include <cstdint>
#include <string>

namespace sparsescope::testing {

std::string valid_safetensors(uint64_t seed);
std::string valid_index(uint64_t seed);

// The file with one to three changes in its header: numbers, names, structure, bytes, length.
std::string mutated_safetensors(uint64_t seed);
std::string mutated_index(uint64_t seed);

}  // namespace sparsescope::testing
